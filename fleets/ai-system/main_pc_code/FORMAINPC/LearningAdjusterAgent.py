"""Stands in for LearningAdjusterAgent."""

import agent

agent.main()
