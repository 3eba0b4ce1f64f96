"""Stands in for StreamingLanguageAnalyzer."""

import agent

agent.main()
