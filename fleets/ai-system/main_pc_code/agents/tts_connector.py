"""Stands in for TTSConnector."""

import agent

agent.main()
