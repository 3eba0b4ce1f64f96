"""Stands in for UnifiedPlanningAgent."""

import agent

agent.main()
