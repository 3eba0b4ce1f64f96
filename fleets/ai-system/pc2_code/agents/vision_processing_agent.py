"""Stands in for VisionProcessingAgent."""

import agent

agent.main()
