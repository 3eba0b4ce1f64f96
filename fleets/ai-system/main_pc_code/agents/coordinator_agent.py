"""Stands in for CoordinatorAgent."""

import agent

agent.main()
