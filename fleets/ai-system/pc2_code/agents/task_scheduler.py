"""Stands in for TaskScheduler."""

import agent

agent.main()
