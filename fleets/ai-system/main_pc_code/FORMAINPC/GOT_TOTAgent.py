"""Stands in for GoTToTAgent."""

import agent

agent.main()
