"""Stands in for ExperienceTracker."""

import agent

agent.main()
