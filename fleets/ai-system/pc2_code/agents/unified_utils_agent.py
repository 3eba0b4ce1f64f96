"""Stands in for UnifiedUtilsAgent."""

import agent

agent.main()
