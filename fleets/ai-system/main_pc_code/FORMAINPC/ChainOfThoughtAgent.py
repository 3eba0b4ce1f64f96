"""Stands in for ChainOfThoughtAgent."""

import agent

agent.main()
