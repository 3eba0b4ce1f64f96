"""Stands in for DreamWorldAgent."""

import agent

agent.main()
