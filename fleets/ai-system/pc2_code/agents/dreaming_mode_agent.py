"""Stands in for DreamingModeAgent."""

import agent

agent.main()
