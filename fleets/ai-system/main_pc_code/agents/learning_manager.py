"""Stands in for LearningManager."""

import agent

agent.main()
