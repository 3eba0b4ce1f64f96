"""Stands in for AdvancedRouter."""

import agent

agent.main()
