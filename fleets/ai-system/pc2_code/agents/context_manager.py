"""Stands in for ContextManager."""

import agent

agent.main()
