"""Stands in for RCAAgent."""

import agent

agent.main()
