"""Stands in for TinyLlamaService."""

import agent

agent.main()
