"""Stands in for RemoteConnectorAgent."""

import agent

agent.main()
