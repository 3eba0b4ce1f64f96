"""Stands in for AuthenticationAgent."""

import agent

agent.main()
