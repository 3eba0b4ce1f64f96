"""Stands in for FusedAudioPreprocessor."""

import agent

agent.main()
