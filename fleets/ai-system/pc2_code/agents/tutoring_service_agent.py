"""Stands in for TutoringServiceAgent."""

import agent

agent.main()
