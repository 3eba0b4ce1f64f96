"""Stands in for StreamingInterruptHandler."""

import agent

agent.main()
