"""Stands in for FixedStreamingTranslation."""

import agent

agent.main()
