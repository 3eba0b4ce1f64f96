"""Stands in for HealthMonitor."""

import agent

agent.main()
