"""Stands in for Executor."""

import agent

agent.main()
