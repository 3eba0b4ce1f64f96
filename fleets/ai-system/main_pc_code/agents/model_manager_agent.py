"""Stands in for ModelManagerAgent."""

import agent

agent.main()
