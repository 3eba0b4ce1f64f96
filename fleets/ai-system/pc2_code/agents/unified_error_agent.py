"""Stands in for UnifiedErrorAgent."""

import agent

agent.main()
