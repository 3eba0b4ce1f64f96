"""Stands in for LanguageAndTranslationCoordinator."""

import agent

agent.main()
