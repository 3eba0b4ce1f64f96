"""Stands in for ToneDetector."""

import agent

agent.main()
