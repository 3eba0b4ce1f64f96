"""Stands in for FaceRecognitionAgent."""

import agent

agent.main()
