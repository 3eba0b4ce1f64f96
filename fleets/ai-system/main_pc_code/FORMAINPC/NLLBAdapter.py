"""Stands in for NLLBAdapter."""

import agent

agent.main()
