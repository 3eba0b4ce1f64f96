"""Stands in for UnifiedWebAgent."""

import agent

agent.main()
