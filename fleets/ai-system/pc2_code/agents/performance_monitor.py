"""Stands in for PerformanceMonitor."""

import agent

agent.main()
