"""Stands in for SelfHealingAgent."""

import agent

agent.main()
