"""Stands in for ConsolidatedTranslator."""

import agent

agent.main()
