"""Stands in for MoodTrackerAgent."""

import agent

agent.main()
