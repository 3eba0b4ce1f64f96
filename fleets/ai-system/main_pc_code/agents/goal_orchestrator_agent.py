"""Stands in for GoalOrchestratorAgent."""

import agent

agent.main()
