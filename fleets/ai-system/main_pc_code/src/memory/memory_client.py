"""Stands in for MemoryClient."""

import agent

agent.main()
