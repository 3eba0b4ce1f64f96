//! What a fake provider answers, one turn per request.

use std::time::Duration;

use serde_json::Value;

/// One answer.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) calls: Vec<TurnCall>,
    pub(super) usage: Option<(u64, u64, u64)>,
    pub(super) is_cut_by_length: bool,
    pub(super) chunk_bytes: Option<usize>,
    pub(super) pause: Option<Duration>,
    pub(super) fault: Option<Fault>,
}

/// A tool call of an answer, in the provider's spelling.
#[derive(Debug, Clone)]
pub struct TurnCall {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 429, with or without `Retry-After` in seconds.
    RateLimit(Option<u64>),
    /// An error status without further meaning.
    Status(u16),
    /// The dialect's own error for a conversation that is too long.
    ContextLength,
    /// The connection breaks in the middle of the stream.
    Cut,
    /// The stream ends in the middle, as if that were its end.
    EndEarly,
    /// The stream stops in the middle; the connection stays open.
    Stall,
    /// An event in the middle is no JSON.
    MalformedJson,
    /// The stream is broken off by an error event.
    ErrorEvent,
    /// 200 with an HTML page.
    WrongContentType,
    /// 200 with nothing in it.
    EmptyBody,
}

impl Turn {
    /// An answer of one text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// An answer that calls one tool.
    pub fn call(id: &str, name: &str, arguments: &Value) -> Self {
        Self::default().and_call(id, name, arguments)
    }

    /// An answer that fails.
    #[must_use]
    pub fn fault(fault: Fault) -> Self {
        Self::text("this text is longer than one piece of a stream").with_fault(fault)
    }

    /// Calls a further tool.
    #[must_use]
    pub fn and_call(self, id: &str, name: &str, arguments: &Value) -> Self {
        self.and_raw_call(id, name, &arguments.to_string())
    }

    /// Calls a further tool with arguments that may be no JSON.
    #[must_use]
    pub fn and_raw_call(mut self, id: &str, name: &str, arguments: &str) -> Self {
        self.calls.push(TurnCall { id: id.to_owned(), name: name.to_owned(), arguments: arguments.to_owned() });
        self
    }

    /// Shows reasoning before the answer; signed where the dialect signs.
    #[must_use]
    pub fn with_reasoning(mut self, reasoning: &str) -> Self {
        reasoning.clone_into(&mut self.reasoning);
        self
    }

    /// Counts tokens: all input, output, and the part of the input that came from the cache.
    #[must_use]
    pub fn with_usage(mut self, input: u64, output: u64, cached: u64) -> Self {
        self.usage = Some((input, output, cached));
        self
    }

    /// Says that the output limit cut the answer off.
    #[must_use]
    pub fn cut_by_length(mut self) -> Self {
        self.is_cut_by_length = true;
        self
    }

    /// Sends the stream in chunks of so many bytes, whatever they split.
    #[must_use]
    pub fn in_chunks_of(mut self, bytes: usize) -> Self {
        self.chunk_bytes = Some(bytes);
        self
    }

    /// Waits before each event: a slow stream.
    #[must_use]
    pub fn slowly(mut self, pause: Duration) -> Self {
        self.pause = Some(pause);
        self
    }

    /// Goes wrong.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }
}

/// A text in pieces of a few characters.
pub(super) fn pieces(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(7).map(|piece| piece.iter().collect()).collect()
}

/// The arguments as a value; a text where they are no JSON.
pub(super) fn arguments_value(call: &TurnCall) -> Value {
    serde_json::from_str(&call.arguments).unwrap_or_else(|_| Value::String(call.arguments.clone()))
}
