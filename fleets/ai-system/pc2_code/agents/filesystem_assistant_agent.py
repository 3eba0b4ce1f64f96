"""Stands in for FileSystemAssistantAgent."""

import agent

agent.main()
