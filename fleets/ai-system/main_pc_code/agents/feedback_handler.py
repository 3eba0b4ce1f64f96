"""Stands in for FeedbackHandler."""

import agent

agent.main()
