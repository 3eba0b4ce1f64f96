"""Stands in for KnowledgeBase."""

import agent

agent.main()
