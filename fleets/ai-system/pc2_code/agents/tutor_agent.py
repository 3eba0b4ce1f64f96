"""Stands in for TutorAgent."""

import agent

agent.main()
