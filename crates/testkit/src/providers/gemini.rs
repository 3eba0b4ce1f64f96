//! The fake of Google's `generateContent`.

use serde_json::{Value, json};

use super::{
    Recorded, Turn, Wire,
    rules::{Rules, list_at, text_at},
    turn::{arguments_value, pieces},
};

/// The dialect.
pub enum Gemini {}

/// The signature that the fake puts on calls and wants back.
const SIGNATURE: &str = "signed-by-fake";

impl Wire for Gemini {
    const BASE_PATH: &'static str = "";

    fn violations(request: &Recorded) -> Vec<String> {
        let mut rules = Rules::new(request);
        let model = request.path.strip_prefix("/v1beta/models/").unwrap_or_default();
        let is_known = ["streamGenerateContent?alt=sse", "generateContent"]
            .iter()
            .any(|method| model.split_once(':').is_some_and(|(model, rest)| !model.is_empty() && rest == *method));
        rules.check(is_known, format!("no such path: {}", request.path));
        rules.key_in("x-goog-api-key", "");
        rules.positive_at("/generationConfig/maxOutputTokens");
        let tools = list_at(&request.body, "/tools/0/functionDeclarations");
        rules.tools(tools.map(|tool| (&tool["name"], &tool["parametersJsonSchema"])));
        contents(&mut rules, &request.body);
        rules.broken()
    }

    fn wants_stream(request: &Recorded) -> bool {
        request.path.contains(":streamGenerateContent")
    }

    fn frames(turn: &Turn, _request: &Recorded) -> Vec<String> {
        let mut frames = Vec::new();
        for piece in pieces(&turn.reasoning) {
            frames.push(frame(&[json!({ "text": piece, "thought": true })], None, turn));
        }
        for piece in pieces(&turn.text) {
            frames.push(frame(&[json!({ "text": piece })], None, turn));
        }
        // Parallel calls come in one chunk; the first one carries the signature.
        let calls = calls(turn);
        if !calls.is_empty() {
            frames.push(frame(&calls, None, turn));
        }
        frames.push(frame(&[json!({ "text": "" })], Some(finish_reason(turn)), turn));
        frames
    }

    fn whole(turn: &Turn, _request: &Recorded) -> Value {
        let text = (!turn.text.is_empty()).then(|| json!({ "text": turn.text }));
        let parts: Vec<Value> = text.into_iter().chain(calls(turn)).collect();
        chunk(&parts, Some(finish_reason(turn)), turn)
    }

    fn error(code: u16, message: &str) -> Value {
        let status = match code {
            400 => "INVALID_ARGUMENT",
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            503 => "UNAVAILABLE",
            _ => "INTERNAL",
        };
        json!({ "error": { "code": code, "message": message, "status": status } })
    }

    fn context_too_long() -> (u16, Value) {
        let message = "The input token count (9) exceeds the maximum number of tokens allowed (8).";
        (400, Self::error(400, message))
    }

    fn error_frame(message: &str) -> String {
        format!("data: {}\r\n\r\n", Self::error(503, message))
    }
}

fn calls(turn: &Turn) -> Vec<Value> {
    let part = |(place, call): (usize, &super::TurnCall)| {
        let mut part = json!({ "functionCall": { "name": call.name, "args": arguments_value(call) } });
        if !call.id.is_empty() {
            part["functionCall"]["id"] = json!(call.id);
        }
        if place == 0 {
            part["thoughtSignature"] = json!(SIGNATURE);
        }
        part
    };
    turn.calls.iter().enumerate().map(part).collect()
}

fn chunk(parts: &[Value], finish: Option<&str>, turn: &Turn) -> Value {
    let mut candidate = json!({ "index": 0, "content": { "role": "model", "parts": parts } });
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    let mut chunk = json!({ "candidates": [candidate], "modelVersion": "fake-model-1", "responseId": "resp_1" });
    if let Some((input, output, cached)) = turn.usage {
        chunk["usageMetadata"] = json!({
            "promptTokenCount": input,
            "candidatesTokenCount": output,
            "cachedContentTokenCount": cached,
            "totalTokenCount": input + output,
        });
    }
    chunk
}

fn frame(parts: &[Value], finish: Option<&str>, turn: &Turn) -> String {
    format!("data: {}\r\n\r\n", chunk(parts, finish, turn))
}

fn finish_reason(turn: &Turn) -> &'static str {
    if turn.is_cut_by_length { "MAX_TOKENS" } else { "STOP" }
}

/// Roles alternate; the calls of a turn are answered in the next one, in order and by name.
fn contents(rules: &mut Rules<'_>, body: &Value) {
    let list: Vec<&Value> = list_at(body, "/contents").collect();
    let roles: Vec<&str> = list.iter().map(|content| text_at(content, "/role")).collect();
    rules.alternate(&roles, "model");
    let mut open: Vec<&str> = Vec::new();
    for content in list {
        rules.check(list_at(content, "/parts").next().is_some(), "a turn has no parts");
        let answers = list_at(content, "/parts").filter(|part| part.get("functionResponse").is_some());
        let names: Vec<&str> = answers.clone().map(|part| text_at(part, "/functionResponse/name")).collect();
        rules.check(names == open, format!("the calls {open:?} are answered by {names:?}"));
        for answer in answers {
            rules.check(answer["functionResponse"]["response"].is_object(), "a function response is no object");
        }
        open.clear();
        for part in list_at(content, "/parts").filter(|part| part.get("functionCall").is_some()) {
            rules.tool_name(text_at(part, "/functionCall/name"));
            rules.check(part["functionCall"]["args"].is_object(), "the args of a call are no object");
            let is_first = open.is_empty();
            rules.check(!is_first || part.get("thoughtSignature").is_some(), "a call has lost its thought signature");
            open.push(text_at(part, "/functionCall/name"));
        }
    }
    rules.check(open.is_empty(), format!("the calls {open:?} have no result"));
}
