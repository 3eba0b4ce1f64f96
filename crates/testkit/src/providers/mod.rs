//! Fake model providers on a local port. They speak the real wire formats, check every request, and inject faults.
//!
//! Owns the server and what is common to the dialects. A request that breaks a rule of its dialect is answered with
//! 400 and a reason, which [`FakeProvider::violations`] keeps.

#![expect(clippy::indexing_slicing, reason = "indexing a JSON value gives null for what is missing")]

mod anthropic;
mod gemini;
mod openai;
mod rules;
mod server;
mod turn;

pub use server::{FakeProvider, Recorded};
pub use turn::{Fault, Turn, TurnCall};
pub use {anthropic::Anthropic, gemini::Gemini, openai::OpenAi};

/// A fake of OpenAI's chat completions, at `{url}/chat/completions`; [`FakeProvider::url`] ends in `/v1`.
pub type FakeOpenAi = FakeProvider<OpenAi>;
/// A fake of Anthropic's messages.
pub type FakeAnthropic = FakeProvider<Anthropic>;
/// A fake of Google's `generateContent`.
pub type FakeGemini = FakeProvider<Gemini>;

/// What the dialects do differently. Implemented in this folder only.
pub trait Wire: Send + Sync + 'static {
    /// What follows the server's address in the provider's base URL.
    const BASE_PATH: &'static str;

    /// The rules that a request breaks.
    fn violations(request: &Recorded) -> Vec<String>;

    /// Whether the request wants a stream.
    fn wants_stream(request: &Recorded) -> bool;

    /// The answer as a stream's events, each a whole SSE frame.
    fn frames(turn: &Turn, request: &Recorded) -> Vec<String>;

    /// The answer as one JSON value.
    fn whole(turn: &Turn, request: &Recorded) -> serde_json::Value;

    /// An error's body. `code` is the HTTP status.
    fn error(code: u16, message: &str) -> serde_json::Value;

    /// What the provider says when the conversation is too long: status and body.
    fn context_too_long() -> (u16, serde_json::Value);

    /// An event that breaks a stream off with an error.
    fn error_frame(message: &str) -> String;
}
