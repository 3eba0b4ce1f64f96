"""Stands in for CodeGenerator."""

import agent

agent.main()
