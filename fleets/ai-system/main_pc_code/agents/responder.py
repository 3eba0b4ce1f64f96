"""Stands in for Responder."""

import agent

agent.main()
