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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Breaks a right request at one place and expects a rule's words.
    fn check<W: Wire>(path: &str, key: &str, body: &Value, breaks: &[(&str, Value, &str)]) {
        let pairs = [(key, "Bearer key"), ("content-type", "application/json"), ("anthropic-version", "1")];
        let headers = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let right = Recorded { path: path.to_owned(), headers, body: body.clone() };
        assert_eq!(W::violations(&right), Vec::<String>::new());
        for (pointer, value, words) in breaks {
            let mut wrong = right.clone();
            *wrong.body.pointer_mut(pointer).expect(pointer) = value.clone();
            let broken = W::violations(&wrong).join("; ");
            assert!(broken.contains(words), "{pointer}: {broken}");
        }
        let elsewhere = Recorded { headers: [("x-other".to_owned(), String::new())].into(), ..right };
        assert!(W::violations(&elsewhere).iter().any(|rule| rule.contains("no key")));
    }

    #[test]
    fn openai_requests_are_checked() {
        let body = json!({
            "model": "m", "max_tokens": 5,
            "tools": [{ "function": { "name": "fs_read", "parameters": { "type": "object" } } }],
            "messages": [
                { "role": "user", "content": "hi" },
                { "role": "assistant", "tool_calls": [
                    { "id": "a", "type": "function", "function": { "name": "fs_read", "arguments": "{}" } },
                    { "id": "b", "type": "function", "function": { "name": "fs_read", "arguments": "{}" } },
                ] },
                { "role": "tool", "tool_call_id": "b", "content": "x" },
                { "role": "tool", "tool_call_id": "a", "content": "x" },
            ],
        });
        check::<OpenAi>(
            "/v1/chat/completions",
            "authorization",
            &body,
            &[
                ("/model", json!(""), "/model"),
                ("/tools/0/function/name", json!("fs.read"), "does not match"),
                ("/tools/0/function/parameters", json!({}), "not of type object"),
                ("/messages/2/tool_call_id", json!("c"), "answers no call"),
                ("/messages/2", json!({ "role": "user", "content": "hi" }), "have no result"),
                ("/messages/1/tool_calls/0/function/arguments", json!("{"), "no JSON object"),
                ("/messages/3/role", json!("robot"), "has the role"),
            ],
        );
    }

    #[test]
    fn anthropic_requests_are_checked() {
        let body = json!({
            "model": "m", "max_tokens": 5,
            "tools": [{ "name": "fs_read", "input_schema": { "type": "object" } }],
            "messages": [
                { "role": "user", "content": [{ "type": "text", "text": "hi" }] },
                { "role": "assistant", "content": [
                    { "type": "thinking", "thinking": "", "signature": "signed-by-fake" },
                    { "type": "tool_use", "id": "a", "name": "fs_read", "input": {} },
                ] },
                { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "a", "is_error": false }] },
            ],
        });
        check::<Anthropic>(
            "/v1/messages",
            "x-api-key",
            &body,
            &[
                ("/max_tokens", json!(0), "/max_tokens"),
                ("/messages/0/content/0/text", json!(""), "is empty"),
                ("/messages/1/role", json!("user"), "must be of role assistant"),
                ("/messages/1/content/0/signature", json!("x"), "signature"),
                ("/messages/1/content/1/input", json!("x"), "no object"),
                ("/messages/2/content/0", json!({ "type": "text", "text": "x" }), "have no result"),
            ],
        );
    }

    #[test]
    fn gemini_requests_are_checked() {
        let body = json!({
            "generationConfig": { "maxOutputTokens": 5 },
            "tools": [{ "functionDeclarations": [{ "name": "a", "parametersJsonSchema": { "type": "object" } }] }],
            "contents": [
                { "role": "user", "parts": [{ "text": "hi" }] },
                { "role": "model", "parts": [{ "functionCall": { "name": "a", "args": {} }, "thoughtSignature": "s" }] },
                { "role": "user", "parts": [{ "functionResponse": { "name": "a", "response": {} } }] },
            ],
        });
        check::<Gemini>(
            "/v1beta/models/m:streamGenerateContent?alt=sse",
            "x-goog-api-key",
            &body,
            &[
                ("/generationConfig/maxOutputTokens", json!(null), "maxOutputTokens"),
                ("/contents/1/parts/0/functionCall/args", json!([]), "no object"),
                ("/contents/2/parts/0/functionResponse/name", json!("b"), "are answered by"),
                ("/contents/2/role", json!("model"), "must be of role user"),
            ],
        );
    }
}
