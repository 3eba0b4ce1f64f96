"""Stands in for TTSCache."""

import agent

agent.main()
