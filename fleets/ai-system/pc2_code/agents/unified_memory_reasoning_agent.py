"""Stands in for UnifiedMemoryReasoningAgent."""

import agent

agent.main()
