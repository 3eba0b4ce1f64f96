"""Stands in for VoiceProfiler."""

import agent

agent.main()
