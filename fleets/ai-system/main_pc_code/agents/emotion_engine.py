"""Stands in for EmotionEngine."""

import agent

agent.main()
