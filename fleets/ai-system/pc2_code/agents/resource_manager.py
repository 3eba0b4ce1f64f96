"""Stands in for ResourceManager."""

import agent

agent.main()
