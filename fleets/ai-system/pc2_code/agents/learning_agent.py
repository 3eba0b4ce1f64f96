"""Stands in for LearningAgent."""

import agent

agent.main()
