"""Stands in for CognitiveModelAgent."""

import agent

agent.main()
