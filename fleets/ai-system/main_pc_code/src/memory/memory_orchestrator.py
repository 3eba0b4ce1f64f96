"""Stands in for MemoryOrchestrator."""

import agent

agent.main()
