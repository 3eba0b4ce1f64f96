//! The seam to language models: request, reply, receipt, failure, and the trait [`Model`].
//!
//! Leaves out providers, routes and wire formats: those are the gateway's.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::{
    BoxFuture,
    cost::{MicroUsd, Price, Usage},
    id::RunId,
    message::{AssistantMessage, Message},
    time::millis,
    tool::ToolSpec,
};

/// A model of a provider, written `provider/model`. The model part may hold further slashes
/// (`openrouter/meta-llama/llama-4`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelRef {
    /// The provider's name, for example `anthropic`.
    pub provider: String,
    /// The model's name as the provider knows it.
    pub model: String,
}

/// A text without provider or without model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no model: expected `provider/model`, for example `ollama/qwen3`")]
pub struct ParseModelRefError(pub String);

impl FromStr for ModelRef {
    type Err = ParseModelRefError;

    fn from_str(text: &str) -> Result<Self, ParseModelRefError> {
        match text.split_once('/') {
            Some((provider, model)) if !provider.trim().is_empty() && !model.trim().is_empty() => {
                Ok(Self { provider: provider.trim().to_owned(), model: model.trim().to_owned() })
            }
            _ => Err(ParseModelRefError(text.to_owned())),
        }
    }
}

impl fmt::Display for ModelRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}

impl Serialize for ModelRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ModelRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Which models to try, in order, and how to ask them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// Candidates, first choice first; never empty.
    pub models: Vec<ModelRef>,
    /// Failures after which the next candidate is tried.
    #[serde(default = "FailureKind::default_fallback")]
    pub fallback_on: Vec<FailureKind>,
    /// Sampling temperature; the provider's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Largest answer in tokens; also what is reserved for an answer.
    pub max_output_tokens: u32,
}

/// One model call. Messages are shared, so that a long history is not copied for each call.
#[derive(Debug, Clone)]
pub struct ModelRequest {
    /// The run; sent to providers as the trace id where they take one.
    pub run: RunId,
    /// Which model call of the run this is, from 1; a call that is made again after a crash keeps its number.
    pub step: u32,
    /// Which models to try.
    pub route: Arc<Route>,
    /// The system prompt.
    pub system: Arc<str>,
    /// The conversation: starts with a user message; each tool call is answered by a tool message.
    pub messages: Vec<Arc<Message>>,
    /// The tools that the model may call, in a fixed order (prompt caches depend on it).
    pub tools: Arc<[ToolSpec]>,
    /// The JSON Schema that the final answer must satisfy, where the provider can enforce one.
    pub output_schema: Option<Arc<Value>>,
}

/// A successful model call.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelReply {
    /// What the model said.
    pub message: AssistantMessage,
    /// Why it stopped.
    pub finish: FinishReason,
    /// What was asked, tried and served.
    pub receipt: Receipt,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// It was done.
    Stop,
    /// It wants tools called.
    ToolCalls,
    /// The output limit cut it off.
    Length,
    /// The provider's content filter stopped it.
    ContentFilter,
}

/// The record of one model call: proves which model was really used, and at what price.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Receipt {
    /// Every try, in order, the serving one last.
    pub attempts: Vec<Attempt>,
    /// The candidate that served; absent when all failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<ModelRef>,
    /// The model name that the provider reported, where it differs from the one asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_model: Option<String>,
    /// The provider's id of the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// Tokens.
    pub usage: Usage,
    /// Whether the tokens are the provider's count; otherwise they are estimated.
    pub usage_reported: bool,
    /// Money, from the price table; absent when the model has no price there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<MicroUsd>,
    /// From the first try to the last byte.
    #[serde(rename = "latency_ms", with = "millis")]
    pub latency: Duration,
}

/// One try of a model call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Who was asked.
    pub model: ModelRef,
    /// What went wrong; absent when it served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// How long it took.
    #[serde(rename = "latency_ms", with = "millis")]
    pub latency: Duration,
}

/// What went wrong with one try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The class that fallback and retry decide by.
    pub kind: FailureKind,
    /// For people; holds no secret and no credentialed URL.
    pub message: String,
    /// How long the provider asked to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// Classes of model failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// No connection, or the server answered 5xx.
    Unavailable,
    /// Too many requests (429), or the quota is used up.
    RateLimit,
    /// No answer in time.
    Timeout,
    /// The conversation does not fit the model.
    ContextTooLong,
    /// No key, a wrong key, or no right to the model.
    Auth,
    /// The provider refused the request as malformed.
    BadRequest,
    /// The answer could not be understood: wrong content type, malformed JSON, a stream cut in the middle.
    Protocol,
    /// The model or provider does not exist.
    NotFound,
}

impl FailureKind {
    /// The failures after which a route goes on by default.
    #[must_use]
    pub fn default_fallback() -> Vec<Self> {
        vec![Self::Unavailable, Self::RateLimit, Self::Timeout, Self::ContextTooLong, Self::Auth, Self::NotFound]
    }

    /// The name used in files and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::RateLimit => "rate_limit",
            Self::Timeout => "timeout",
            Self::ContextTooLong => "context_too_long",
            Self::Auth => "auth",
            Self::BadRequest => "bad_request",
            Self::Protocol => "protocol",
            Self::NotFound => "not_found",
        }
    }
}

/// A model call that failed on every candidate. The receipt's last attempt has the final failure.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}: {}", failure.kind.name(), failure.message)]
pub struct ModelError {
    /// The last failure.
    pub failure: Failure,
    /// All tries.
    pub receipt: Receipt,
}

/// What a model call shows while it runs. Deltas are for eyes only; the journal holds the whole reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelDelta {
    /// A candidate is being asked.
    Asking(ModelRef),
    /// A try failed; what follows, if anything, comes from another try.
    Failed(Attempt),
    /// A piece of text.
    Text(String),
    /// A piece of shown reasoning.
    Reasoning(String),
}

/// What is known of a model before it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ModelFacts {
    /// The price; absent when unknown (local models cost nothing and have a price of zero).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Tokens that fit into the model, input and output together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u64>,
}

/// Something that answers model requests.
///
/// Implementers try the route's candidates in order, fall back only before the first delta of an answer has been
/// shown, treat a stream that ends without its end marker as a failure, and give every reply and error a receipt.
/// Dropping the future cancels the call.
pub trait Model: Send + Sync {
    /// Makes one call. `show` receives deltas as they arrive.
    fn call<'a>(
        &'a self,
        request: &'a ModelRequest,
        show: &'a (dyn Fn(ModelDelta) + Send + Sync),
    ) -> BoxFuture<'a, Result<ModelReply, Box<ModelError>>>;

    /// What is known of a model without asking its provider.
    fn facts(&self, model: &ModelRef) -> ModelFacts;
}
