"""Stands in for SelfTrainingOrchestrator."""

import agent

agent.main()
