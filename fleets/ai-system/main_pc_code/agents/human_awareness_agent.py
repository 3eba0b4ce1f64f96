"""Stands in for HumanAwarenessAgent."""

import agent

agent.main()
