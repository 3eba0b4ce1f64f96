"""Stands in for TTSAgent."""

import agent

agent.main()
