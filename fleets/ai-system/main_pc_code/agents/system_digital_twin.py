"""Stands in for SystemDigitalTwin."""

import agent

agent.main()
