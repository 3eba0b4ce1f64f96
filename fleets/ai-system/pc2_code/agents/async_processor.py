"""Stands in for AsyncProcessor."""

import agent

agent.main()
