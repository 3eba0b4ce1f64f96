"""Stands in for TieredResponder."""

import agent

agent.main()
