"""Stands in for MemoryManager."""

import agent

agent.main()
