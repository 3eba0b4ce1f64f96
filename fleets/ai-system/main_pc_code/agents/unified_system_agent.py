"""Stands in for UnifiedSystemAgent."""

import agent

agent.main()
