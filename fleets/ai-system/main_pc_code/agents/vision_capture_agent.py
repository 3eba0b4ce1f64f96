"""Stands in for VisionCaptureAgent."""

import agent

agent.main()
