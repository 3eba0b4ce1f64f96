"""Stands in for CacheManager."""

import agent

agent.main()
