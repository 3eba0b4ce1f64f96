//! What one try of a dialect gives, and the pieces that it shows on the way.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use masque_types::{
    cost::Usage,
    message::{AssistantMessage, Message, ToolCall},
    model::{FinishReason, ModelDelta, ModelRequest},
};
use serde_json::Value;

/// A whole answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) message: AssistantMessage,
    pub(crate) finish: FinishReason,
    /// The provider's count; absent when it gave none.
    pub(crate) usage: Option<Usage>,
    pub(crate) reported_model: Option<String>,
    pub(crate) response_id: Option<String>,
}

/// Shows pieces of an answer and remembers whether any was shown: from then on nothing else may take its place.
pub(crate) struct Screen<'a> {
    show: &'a (dyn Fn(ModelDelta) + Send + Sync),
    shown_bytes: AtomicUsize,
    has_begun: AtomicBool,
}

impl<'a> Screen<'a> {
    pub(crate) fn new(show: &'a (dyn Fn(ModelDelta) + Send + Sync)) -> Self {
        Self { show, shown_bytes: AtomicUsize::new(0), has_begun: AtomicBool::new(false) }
    }

    pub(crate) fn text(&self, text: &str) {
        self.piece(text, ModelDelta::Text);
    }

    pub(crate) fn reasoning(&self, text: &str) {
        self.piece(text, ModelDelta::Reasoning);
    }

    fn piece(&self, text: &str, delta: fn(String) -> ModelDelta) {
        if !text.is_empty() {
            self.begin();
            self.shown_bytes.fetch_add(text.len(), Ordering::Relaxed);
            (self.show)(delta(text.to_owned()));
        }
    }

    /// Something that is no part of an answer.
    pub(crate) fn notice(&self, delta: ModelDelta) {
        (self.show)(delta);
    }

    pub(crate) fn has_shown(&self) -> bool {
        self.shown_bytes() > 0
    }

    pub(crate) fn shown_bytes(&self) -> usize {
        self.shown_bytes.load(Ordering::Relaxed)
    }

    /// Notes that the provider works on an answer, which it may bill even when the answer breaks off.
    pub(crate) fn begin(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }
}

/// The arguments of a call as they came: a text that is no JSON stays a text, nothing is an empty object.
pub(crate) fn parse_arguments(text: &str) -> Value {
    if text.trim().is_empty() {
        return Value::Object(serde_json::Map::new());
    }
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// The arguments of an earlier call as an object, which is what providers accept in a history.
pub(crate) fn arguments_object(call: &ToolCall) -> Value {
    match &call.arguments {
        Value::Object(_) => call.arguments.clone(),
        other => serde_json::json!({ "invalid_arguments": other }),
    }
}

/// What an earlier answer of this very provider wants sent back.
pub(crate) fn opaque_of<'a>(message: &'a AssistantMessage, provider: &str) -> Option<&'a Value> {
    message.opaque.as_ref().filter(|opaque| opaque.get("provider").and_then(Value::as_str) == Some(provider))
}

/// A rough count for providers that give none.
pub(crate) fn estimated_usage(request: &ModelRequest, message: &AssistantMessage) -> Usage {
    let output_tokens = Message::Assistant(message.clone()).estimated_tokens();
    Usage { input_tokens: estimated_input(request), output_tokens, ..Usage::default() }
}

/// A rough count for an answer that broke off after some bytes.
pub(crate) fn estimated_loss(request: &ModelRequest, shown_bytes: usize) -> Usage {
    let output_tokens = (shown_bytes as u64).div_ceil(4);
    Usage { input_tokens: estimated_input(request), output_tokens, ..Usage::default() }
}

fn estimated_input(request: &ModelRequest) -> u64 {
    let history: u64 = request.messages.iter().map(|message| message.estimated_tokens()).sum();
    let tools: usize =
        request.tools.iter().map(|tool| tool.description.len() + tool.input_schema.to_string().len()).sum();
    history + ((request.system.len() + tools) as u64).div_ceil(4)
}
