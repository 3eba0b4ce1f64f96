"""Stands in for PredictiveHealthMonitor."""

import agent

agent.main()
