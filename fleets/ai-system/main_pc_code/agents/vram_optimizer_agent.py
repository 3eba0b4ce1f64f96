"""Stands in for VRAMOptimizerAgent."""

import agent

agent.main()
