"""Stands in for MetaCognitionAgent."""

import agent

agent.main()
