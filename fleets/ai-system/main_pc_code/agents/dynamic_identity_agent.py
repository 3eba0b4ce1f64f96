"""Stands in for DynamicIdentityAgent."""

import agent

agent.main()
