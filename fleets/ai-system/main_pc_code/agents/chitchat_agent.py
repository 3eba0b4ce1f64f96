"""Stands in for ChitchatAgent."""

import agent

agent.main()
