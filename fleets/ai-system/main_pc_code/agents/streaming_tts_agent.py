"""Stands in for StreamingTTSAgent."""

import agent

agent.main()
