//! The `[providers.<name>]` sections of configuration files.

use std::collections::BTreeMap;

use masque_types::diagnostic::Diagnostic;
use serde::Deserialize;

use crate::Error;

/// A provider that the user declares, or a change to a well-known one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderSettings {
    /// `openai` (any compatible server), `anthropic`, `gemini` or `scripted`; the well-known provider's when absent.
    pub kind: Option<String>,
    /// Base address.
    pub base_url: Option<String>,
    /// Name of the environment variable that holds the key.
    pub api_key_env: Option<String>,
    /// Script of a scripted provider.
    pub script: Option<String>,
    /// Headers sent with each request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

pub(super) fn parse(file: &str, content: &toml::Value) -> Result<BTreeMap<String, ProviderSettings>, Error> {
    let sections = content.as_table().into_iter().flatten();
    sections
        .map(|(name, section)| {
            let settings = section.clone().try_into().map_err(|error: toml::de::Error| {
                let what = format!("[providers.{name}]: {}", error.message());
                let hint = "known keys: kind, base_url, api_key_env, script, headers";
                Error::from(Diagnostic::error(file, what).hint(hint))
            })?;
            Ok((name.clone(), settings))
        })
        .collect()
}
