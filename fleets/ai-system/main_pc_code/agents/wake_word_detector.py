"""Stands in for WakeWordDetector."""

import agent

agent.main()
