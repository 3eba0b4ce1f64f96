"""Stands in for StreamingSpeechRecognition."""

import agent

agent.main()
