"""Stands in for IntentionValidatorAgent."""

import agent

agent.main()
