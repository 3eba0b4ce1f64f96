//! Providers that are known by name: where they are, what they speak, which variable holds their key.
//!
//! Leaves out reading that variable: the application does.

use crate::config::{CallIds, OpenAiHabits, OutputLimit, ProviderConfig, ProviderKind, StreamUsage};

/// A provider that needs no configuration but a key, or nothing when it is local.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WellKnownProvider {
    /// The name in `name/model`.
    pub name: &'static str,
    /// The wire format.
    pub kind: ProviderKind,
    /// Where it is reached.
    pub base_url: &'static str,
    /// The environment variable that holds the key; absent when none is needed.
    pub key_variable: Option<&'static str>,
    /// Whether it runs on this machine.
    pub local: bool,
    /// What it wants otherwise than OpenAI does.
    pub habits: OpenAiHabits,
}

impl WellKnownProvider {
    /// Its configuration, still without the key.
    #[must_use]
    pub fn config(&self) -> ProviderConfig {
        ProviderConfig {
            key_variable: self.key_variable.map(str::to_owned),
            local: self.local,
            habits: self.habits,
            ..ProviderConfig::new(self.kind, self.base_url)
        }
    }
}

const USUAL: OpenAiHabits =
    OpenAiHabits { output_limit: OutputLimit::MaxTokens, usage: StreamUsage::Asked, call_ids: CallIds::Usual };

const fn hosted(name: &'static str, base_url: &'static str, key_variable: &'static str) -> WellKnownProvider {
    WellKnownProvider {
        name,
        kind: ProviderKind::OpenAi,
        base_url,
        key_variable: Some(key_variable),
        local: false,
        habits: USUAL,
    }
}

const fn local(name: &'static str, base_url: &'static str) -> WellKnownProvider {
    WellKnownProvider { name, kind: ProviderKind::OpenAi, base_url, key_variable: None, local: true, habits: USUAL }
}

const PROVIDERS: &[WellKnownProvider] = &[
    WellKnownProvider {
        habits: OpenAiHabits { output_limit: OutputLimit::MaxCompletionTokens, ..USUAL },
        ..hosted("openai", "https://api.openai.com/v1", "OPENAI_API_KEY")
    },
    WellKnownProvider {
        kind: ProviderKind::Anthropic,
        ..hosted("anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY")
    },
    WellKnownProvider {
        kind: ProviderKind::Gemini,
        ..hosted("gemini", "https://generativelanguage.googleapis.com", "GEMINI_API_KEY")
    },
    local("ollama", "http://127.0.0.1:11434/v1"),
    local("lmstudio", "http://127.0.0.1:1234/v1"),
    local("vllm", "http://127.0.0.1:8000/v1"),
    local("llamacpp", "http://127.0.0.1:8080/v1"),
    hosted("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    hosted("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    WellKnownProvider {
        habits: OpenAiHabits { usage: StreamUsage::Always, call_ids: CallIds::Nine, ..USUAL },
        ..hosted("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY")
    },
    hosted("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    hosted("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    hosted("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    hosted("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    hosted("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
];

/// The well-known providers, the most used first.
#[must_use]
pub const fn well_known_providers() -> &'static [WellKnownProvider] {
    PROVIDERS
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_provider_is_complete() {
        let names: BTreeSet<_> = PROVIDERS.iter().map(|provider| provider.name).collect();
        assert_eq!(names.len(), PROVIDERS.len(), "names are unique");
        for provider in PROVIDERS {
            assert!(url::Url::parse(provider.base_url).is_ok(), "{}", provider.name);
            assert!(!provider.base_url.ends_with('/'), "{}", provider.name);
            assert_eq!(provider.local, provider.key_variable.is_none(), "{}", provider.name);
        }
    }
}
