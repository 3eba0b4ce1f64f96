//! How a gateway is set up: providers, time limits, retries. Plain data that the application fills in.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use masque_types::secret::Secret;

use crate::prices::PriceTable;

/// Everything that a [`Gateway`](crate::Gateway) is built from.
#[derive(Debug, Clone, Default)]
pub struct GatewayConfig {
    /// Providers by name: the part of a model's name before the first slash.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// What models cost and how much fits into them.
    pub prices: PriceTable,
    /// Time limits of each try.
    pub timeouts: Timeouts,
    /// What is done before a route goes on to its next candidate.
    pub retry: Retry,
}

/// The wire format that a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProviderKind {
    /// OpenAI's chat completions, spoken by OpenAI and most other servers.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Google's `generateContent`.
    Gemini,
    /// Replies from YAML scripts; no network.
    Scripted,
}

impl ProviderKind {
    /// The name used in configuration files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Scripted => "scripted",
        }
    }

    /// Reads the name back.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Scripted].into_iter().find(|kind| kind.name() == name)
    }
}

/// One provider.
///
/// The base URL comes from the user's own configuration only: whoever sets it receives the key.
#[derive(Clone)]
pub struct ProviderConfig {
    /// The wire format.
    pub kind: ProviderKind,
    /// Where it is reached, without a trailing slash: `https://api.openai.com/v1`, `https://api.anthropic.com`.
    /// Unused by scripted providers.
    pub base_url: String,
    /// The key, when there is one.
    pub api_key: Option<Secret>,
    /// The environment variable that the application reads the key from: named when the key is missing. Absent when
    /// the provider needs no key.
    pub key_variable: Option<String>,
    /// Further headers, sent with each request.
    pub headers: BTreeMap<String, Secret>,
    /// Whether it runs on the user's own machines: its models cost nothing, and it is there only when a probe found
    /// it.
    pub local: bool,
    /// The models that a probe found; absent when the server was not asked or did not answer.
    pub models: Option<Vec<String>>,
    /// What the server wants otherwise than OpenAI does.
    pub habits: OpenAiHabits,
    /// Scripts by name, for the kind `Scripted`: `scripted/<name>`.
    pub scripts: BTreeMap<String, ScriptSource>,
}

impl ProviderConfig {
    /// A provider of a kind at an address, with nothing else set.
    #[must_use]
    pub fn new(kind: ProviderKind, base_url: impl Into<String>) -> Self {
        Self {
            kind,
            base_url: base_url.into(),
            api_key: None,
            key_variable: None,
            headers: BTreeMap::new(),
            local: false,
            models: None,
            habits: OpenAiHabits::default(),
            scripts: BTreeMap::new(),
        }
    }

    /// A provider of scripted models.
    #[must_use]
    pub fn scripted(scripts: BTreeMap<String, ScriptSource>) -> Self {
        Self { scripts, ..Self::new(ProviderKind::Scripted, "") }
    }
}

/// Leaves out the base URL, which may hold a password.
impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderConfig")
            .field("kind", &self.kind)
            .field("key_variable", &self.key_variable)
            .field("local", &self.local)
            .field("models", &self.models)
            .finish_non_exhaustive()
    }
}

/// Where a script comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptSource {
    /// The YAML itself.
    Text(String),
    /// A file.
    File(PathBuf),
}

/// Differences between servers that speak OpenAI's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenAiHabits {
    /// How the largest answer is called.
    pub output_limit: OutputLimit,
    /// How token counts are obtained in a stream.
    pub usage: StreamUsage,
    /// Which call ids are accepted.
    pub call_ids: CallIds,
}

/// The field that limits an answer's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputLimit {
    /// `max_tokens`.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`: OpenAI itself.
    MaxCompletionTokens,
}

/// How a stream comes to its token counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamUsage {
    /// Only when asked for by `stream_options`.
    #[default]
    Asked,
    /// Always; the option is refused as unknown.
    Always,
}

/// Which ids of tool calls a server accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallIds {
    /// Letters, digits, `_` and `-`, up to 40.
    #[default]
    Usual,
    /// Exactly nine letters and digits: Mistral.
    Nine,
}

/// Time limits of one try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: Duration,
    /// From the request to the first byte of the answer: large prompts and reasoning take their time.
    pub first_byte: Duration,
    /// Between two pieces of the answer.
    pub idle: Duration,
    /// For the whole try.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(180),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(900),
        }
    }
}

/// How often and when a candidate is asked again after `unavailable`, `rate_limit` and `timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Tries per candidate, the first one included; at least one is made.
    pub tries: u32,
    /// The longest wait before the second try; doubled for each further one. The wait itself is random up to this
    /// (full jitter).
    pub base: Duration,
    /// The longest such wait at all.
    pub cap: Duration,
    /// A provider that asks to wait longer than this is not asked again; the route goes on.
    pub retry_after_cap: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 3,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(8),
            retry_after_cap: Duration::from_secs(30),
        }
    }
}
