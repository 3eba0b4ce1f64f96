"""Stands in for MultiAgentSwarmManager."""

import agent

agent.main()
