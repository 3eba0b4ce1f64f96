"""Stands in for ProactiveContextMonitor."""

import agent

agent.main()
