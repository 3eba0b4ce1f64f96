"""Stands in for ActiveLearningMonitor."""

import agent

agent.main()
