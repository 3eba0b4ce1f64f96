"""Stands in for LocalFineTunerAgent."""

import agent

agent.main()
