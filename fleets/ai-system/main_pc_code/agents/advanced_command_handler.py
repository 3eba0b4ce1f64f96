"""Stands in for AdvancedCommandHandler."""

import agent

agent.main()
