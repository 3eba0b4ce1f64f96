"""Stands in for EmpathyAgent."""

import agent

agent.main()
