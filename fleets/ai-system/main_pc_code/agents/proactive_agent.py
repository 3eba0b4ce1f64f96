"""Stands in for ProactiveAgent."""

import agent

agent.main()
