"""Stands in for EpisodicMemoryAgent."""

import agent

agent.main()
