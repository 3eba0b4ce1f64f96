"""Stands in for TaskRouter."""

import agent

agent.main()
