"""Stands in for AudioCapture."""

import agent

agent.main()
