"""Stands in for AgentTrustScorer."""

import agent

agent.main()
