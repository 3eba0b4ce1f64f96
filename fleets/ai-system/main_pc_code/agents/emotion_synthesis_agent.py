"""Stands in for EmotionSynthesisAgent."""

import agent

agent.main()
