"""Stands in for NLUAgent."""

import agent

agent.main()
