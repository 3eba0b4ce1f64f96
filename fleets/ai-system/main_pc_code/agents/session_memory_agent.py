"""Stands in for SessionMemoryAgent."""

import agent

agent.main()
