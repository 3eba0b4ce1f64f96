//! From what a provider or the network said to a class of failure.
//!
//! Owns the classification and the messages, which hold no key and no URL. Leaves out what is done about a failure.

use std::time::Duration;

use masque_types::model::{Failure, FailureKind};
use reqwest::{StatusCode, header::HeaderMap};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

/// Longest text of a provider that is repeated in a message.
const LONGEST_QUOTE: usize = 400;

/// A failure without a wait.
pub(crate) fn failure(kind: FailureKind, message: impl Into<String>) -> Failure {
    Failure { kind, message: message.into(), retry_after_ms: None }
}

/// An answer that could not be understood.
pub(crate) fn protocol(message: impl Into<String>) -> Failure {
    failure(FailureKind::Protocol, message)
}

/// A request that was answered by an error status.
pub(crate) fn of_status(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let said = Said::of(&value);
    let text = if said.message.is_empty() { printable(body) } else { said.message.clone() };
    let kind = said.kind().filter(|_| status.is_client_error()).unwrap_or_else(|| kind_of_status(status));
    let waits = matches!(kind, FailureKind::RateLimit | FailureKind::Unavailable | FailureKind::Timeout);
    let wait = if waits { retry_after(headers).or_else(|| retry_delay(&value)) } else { None };
    Failure {
        kind,
        message: quoted(&format!("the provider answered {}", status.as_u16()), &text),
        retry_after_ms: wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// An error object in the middle of a stream, or in place of one.
pub(crate) fn of_error_object(value: &Value) -> Failure {
    let said = Said::of(value);
    let status = said.code.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
    let kind = said.kind().or_else(|| status.map(kind_of_status)).unwrap_or(FailureKind::Unavailable);
    failure(kind, quoted("the provider broke off the answer", &said.message))
}

/// A request that got no answer, or an answer that stopped.
pub(crate) fn of_transport(error: reqwest::Error, when: When) -> Failure {
    let error = error.without_url();
    let kind = match when {
        _ if error.is_timeout() => FailureKind::Timeout,
        When::Asking => FailureKind::Unavailable,
        When::Reading => FailureKind::Protocol,
    };
    let what = match when {
        When::Asking if error.is_connect() => "no connection to the provider",
        When::Asking => "the request could not be sent",
        When::Reading => "the answer was cut off",
    };
    failure(kind, quoted(what, &causes(&error)))
}

/// Where a transport error happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Before the first byte of the answer.
    Asking,
    /// Inside the answer.
    Reading,
}

/// Takes a secret out of a message, in case a provider repeats it.
pub(crate) fn without_secret(mut failure: Failure, secret: &str) -> Failure {
    if secret.len() >= 4 && failure.message.contains(secret) {
        failure.message = failure.message.replace(secret, "…");
    }
    failure
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        source = cause.source();
    }
    texts.join(": ")
}

fn quoted(what: &str, text: &str) -> String {
    if text.is_empty() {
        return what.to_owned();
    }
    let short: String = text.chars().take(LONGEST_QUOTE).collect();
    let ellipsis = if short.len() < text.len() { "…" } else { "" };
    format!("{what}: {short}{ellipsis}")
}

fn printable(body: &[u8]) -> String {
    let head = body.get(..body.len().min(4 * LONGEST_QUOTE)).unwrap_or_default();
    String::from_utf8_lossy(head).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn kind_of_status(status: StatusCode) -> FailureKind {
    match status.as_u16() {
        401 | 403 => FailureKind::Auth,
        // Payment required: the quota is used up.
        402 | 425 | 429 => FailureKind::RateLimit,
        404 | 410 => FailureKind::NotFound,
        408 | 504 => FailureKind::Timeout,
        413 => FailureKind::ContextTooLong,
        400..=499 => FailureKind::BadRequest,
        // A redirect could lead the key elsewhere: it is not followed.
        300..=399 => FailureKind::Protocol,
        _ => FailureKind::Unavailable,
    }
}

/// The parts of an error object, as the dialects spell them: `{"error": {"message", "type", "code", "status"}}`,
/// `{"error": "text"}`, `{"message", "type"}`; Gemini may put it into a list.
#[derive(Default)]
struct Said {
    message: String,
    kind: String,
    code: String,
}

impl Said {
    fn of(value: &Value) -> Self {
        let value = value.as_array().and_then(|list| list.first()).unwrap_or(value);
        let error = value.get("error").unwrap_or(value);
        let text = |names: &[&str]| names.iter().find_map(|name| error.get(name)).map(plain).unwrap_or_default();
        let message = error.as_str().map_or_else(|| text(&["message", "detail"]), str::to_owned);
        let upstream = error.pointer("/metadata/raw").and_then(Value::as_str);
        Self {
            // OpenRouter hides the upstream's own words behind "Provider returned error".
            message: upstream.map_or(message.clone(), |raw| format!("{message}: {raw}")),
            kind: format!("{} {} {}", text(&["type"]), text(&["status"]), text(&["code"])),
            code: text(&["code"]),
        }
    }

    fn kind(&self) -> Option<FailureKind> {
        let message = self.message.to_lowercase();
        let says = |marks: &[&str]| marks.iter().any(|mark| message.contains(mark));
        let is = |marks: &[&str]| marks.iter().any(|mark| self.kind.contains(mark));
        if is(&["context_length_exceeded", "request_too_large", "exceed_context_size"]) || says(CONTEXT_MARKS) {
            return Some(FailureKind::ContextTooLong);
        }
        if is(&["rate_limit", "insufficient_quota", "RESOURCE_EXHAUSTED"]) {
            return Some(FailureKind::RateLimit);
        }
        if is(&["authentication_error", "permission_error", "invalid_api_key", "UNAUTHENTICATED", "PERMISSION_DENIED"])
            || says(&["api key not valid", "api_key_invalid", "invalid api key", "incorrect api key"])
        {
            return Some(FailureKind::Auth);
        }
        if is(&["overloaded_error", "UNAVAILABLE", "api_error", "server_error", "INTERNAL"]) {
            return Some(FailureKind::Unavailable);
        }
        if is(&["timeout_error", "DEADLINE_EXCEEDED"]) {
            return Some(FailureKind::Timeout);
        }
        if is(&["not_found_error", "model_not_found", "NOT_FOUND"]) {
            return Some(FailureKind::NotFound);
        }
        is(&["invalid_request_error", "INVALID_ARGUMENT"]).then_some(FailureKind::BadRequest)
    }
}

/// What providers say when the conversation is too long, in lower case.
const CONTEXT_MARKS: &[&str] = &[
    "maximum context length",
    "context length exceeded",
    "context window",
    "context_length_exceeded",
    "prompt is too long",
    "input is too long",
    "exceeds the maximum number of tokens",
    "exceeds the available context size",
    "too many tokens",
    "reduce the length of the messages",
    "input length and `max_tokens` exceed",
];

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
}

/// `retry-after-ms`, or `retry-after` in seconds or as a date. A date is measured against the server's own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(|text| text.parse().ok()) {
        return Some(Duration::from_millis(millis));
    }
    let wait = text("retry-after")?;
    if let Some(seconds) = wait.parse::<f64>().ok().filter(|seconds| (0.0..1e9).contains(seconds)) {
        return Some(Duration::from_secs_f64(seconds));
    }
    let at = |text: &str| OffsetDateTime::parse(text, &Rfc2822).ok();
    Duration::try_from(at(wait)? - at(text("date")?)?).ok()
}

/// Gemini's `RetryInfo` among the error's details: `"retryDelay": "34.5s"`.
fn retry_delay(value: &Value) -> Option<Duration> {
    let value = value.as_array().and_then(|list| list.first()).unwrap_or(value);
    let details = value.pointer("/error/details")?.as_array()?;
    let text = details.iter().find_map(|detail| detail.get("retryDelay"))?.as_str()?;
    let seconds: f64 = text.strip_suffix('s')?.parse().ok()?;
    (0.0..1e9).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &str, expected: FailureKind) {
        let failure = of_status(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes());
        assert_eq!(failure.kind, expected, "{status} {body}: {}", failure.message);
    }

    #[test]
    fn errors_of_each_dialect_are_classified() {
        use FailureKind::{Auth, BadRequest, ContextTooLong, NotFound, RateLimit, Timeout, Unavailable};
        let context = r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","code":"context_length_exceeded"}}"#;
        check(400, context, ContextTooLong);
        check(
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 > 8"}}"#,
            ContextTooLong,
        );
        check(
            400,
            r#"{"error":{"code":400,"message":"The input token count (9) exceeds the maximum number of tokens allowed (8).","status":"INVALID_ARGUMENT"}}"#,
            ContextTooLong,
        );
        check(400, r#"[{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT"}}]"#, Auth);
        check(400, r#"{"error":{"message":"bad tool","type":"invalid_request_error"}}"#, BadRequest);
        check(401, "", Auth);
        check(402, r#"{"error":{"message":"Insufficient credits","code":402}}"#, RateLimit);
        check(404, r#"{"error":"model 'x' not found"}"#, NotFound);
        check(429, r#"{"error":{"type":"insufficient_quota","message":"no money"}}"#, RateLimit);
        check(504, "<html>gateway</html>", Timeout);
        check(529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, Unavailable);
    }

    #[test]
    fn waits_are_read_in_each_spelling() {
        let wait = |pairs: &[(&'static str, &'static str)], body: &str| {
            let headers = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            of_status(StatusCode::TOO_MANY_REQUESTS, &headers, body.as_bytes()).retry_after_ms
        };
        assert_eq!(wait(&[("retry-after", "2")], ""), Some(2_000));
        assert_eq!(wait(&[("retry-after-ms", "70"), ("retry-after", "2")], ""), Some(70));
        let dates = [("retry-after", "Wed, 21 Oct 2026 07:28:05 GMT"), ("date", "Wed, 21 Oct 2026 07:28:00 GMT")];
        assert_eq!(wait(&dates, ""), Some(5_000));
        let body = r#"{"error":{"status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"1.5s"}]}}"#;
        assert_eq!(wait(&[], body), Some(1_500));
        assert_eq!(wait(&[("retry-after", "soon")], ""), None);
    }

    #[test]
    fn messages_are_short_and_hold_no_secret() {
        let body =
            format!(r#"{{"error":{{"message":"Incorrect API key provided: sk-very-secret {}"}}}}"#, "x".repeat(999));
        let failure = of_status(StatusCode::UNAUTHORIZED, &HeaderMap::new(), body.as_bytes());
        let failure = without_secret(failure, "sk-very-secret");
        assert!(!failure.message.contains("secret") && failure.message.len() < 500, "{}", failure.message);
    }
}
