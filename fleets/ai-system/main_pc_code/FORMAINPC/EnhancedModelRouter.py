"""Stands in for EnhancedModelRouter."""

import agent

agent.main()
