//! The seam to one provider: a try of one model, and the dialects that are spoken over HTTP.
//!
//! # Why the dialects are written here
//! The `genai` library (0.7.2) speaks Anthropic and Gemini too, but its streams lose what a gateway must know:
//! - Its Gemini stream makes up an end event when the connection ends without a finish reason, so a cut answer looks
//!   like a whole one; and as it shows no response headers, a 200 with an HTML page is an empty, successful answer.
//! - It strips `-low`, `-high`, `-none`… from Gemini model names, so another model is asked than the receipt says.
//! - Its Anthropic stream keeps no order between thinking, text and tool blocks and drops unknown blocks, while the
//!   provider wants signed blocks sent back as they were; tool results carry no `is_error`.
//! - Response id and reported model are dropped; each tool chunk repeats all arguments so far.
//!
//! The differences between dialects are small beside that: one body to write and one fold over events to read.

use masque_types::{
    BoxFuture,
    model::{Failure, ModelRequest},
};
use serde_json::Value;

use crate::{
    answer::{Answer, Screen},
    names::ToolNames,
    sse,
};

/// Someone who answers model requests: a provider over HTTP, or a script.
///
/// Implementers make exactly one try, show pieces as they arrive, answer with a failure when the end of the answer was
/// not seen, and stop all work when the future is dropped.
pub(crate) trait Upstream: Send + Sync {
    /// Makes one try of a model.
    fn ask<'a>(&'a self, ask: Ask<'a>, screen: &'a Screen<'a>) -> BoxFuture<'a, Result<Answer, Failure>>;

    /// Whether asking again can have another outcome.
    fn may_recover(&self) -> bool;
}

/// One question to one model.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// The provider's name, which marks what is sent back to it alone.
    pub(crate) provider: &'a str,
    /// The model's name as the provider knows it.
    pub(crate) model: &'a str,
    /// The request.
    pub(crate) request: &'a ModelRequest,
}

/// A wire format over HTTP with a stream of server-sent events.
pub(crate) trait Dialect: Send + Sync {
    /// Where the request goes, after the base URL.
    fn path(&self, ask: Ask<'_>) -> String;

    /// The query after it.
    fn query(&self) -> Option<&'static str> {
        None
    }

    /// The request's body.
    fn body(&self, ask: Ask<'_>, names: &ToolNames) -> Value;

    /// The headers that carry the key.
    fn key_header(&self) -> KeyHeader;

    /// Further headers.
    fn headers(&self, ask: Ask<'_>) -> Vec<(&'static str, String)>;

    /// A reader for the answer.
    fn reader(&self) -> Box<dyn Reader>;
}

/// How a dialect sends its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyHeader {
    /// `authorization: Bearer …`.
    Bearer,
    /// The key alone under a name of its own.
    Named(&'static str),
}

/// A fold over the events of one answer.
pub(crate) trait Reader: Send {
    /// Takes the next event.
    ///
    /// # Errors
    /// When the event cannot be understood, or is an error.
    fn event(&mut self, event: &sse::Event, screen: &Screen<'_>) -> Result<(), Failure>;

    /// How far the answer is.
    fn progress(&self) -> Progress;

    /// The answer; asked for only when it is complete.
    ///
    /// # Errors
    /// When what came does not make an answer.
    fn answer(self: Box<Self>, ask: Ask<'_>, names: &ToolNames) -> Result<Answer, Failure>;
}

/// How far an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More must come: an end here is a cut.
    Partial,
    /// All that counts is there; token counts may follow.
    Complete,
    /// Nothing follows.
    Ended,
}
