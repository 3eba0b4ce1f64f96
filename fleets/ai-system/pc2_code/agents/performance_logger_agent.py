"""Stands in for PerformanceLoggerAgent."""

import agent

agent.main()
