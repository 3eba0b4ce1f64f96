"""Stands in for PredictiveLoader."""

import agent

agent.main()
