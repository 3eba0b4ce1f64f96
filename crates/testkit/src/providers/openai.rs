//! The fake of OpenAI's chat completions.

use serde_json::{Value, json};

use super::{
    Recorded, Turn, Wire,
    rules::{Rules, list_at, text_at},
    turn::pieces,
};

/// The dialect.
pub enum OpenAi {}

impl Wire for OpenAi {
    const BASE_PATH: &'static str = "/v1";

    fn violations(request: &Recorded) -> Vec<String> {
        let mut rules = Rules::new(request);
        rules.check(request.path == "/v1/chat/completions", format!("no such path: {}", request.path));
        rules.key_in("authorization", "Bearer ");
        rules.text_at("/model");
        let limit = if request.body.get("max_tokens").is_some() { "/max_tokens" } else { "/max_completion_tokens" };
        rules.positive_at(limit);
        let tools = list_at(&request.body, "/tools");
        rules.tools(tools.map(|tool| (&tool["function"]["name"], &tool["function"]["parameters"])));
        messages(&mut rules, &request.body);
        rules.broken()
    }

    fn wants_stream(request: &Recorded) -> bool {
        request.body["stream"] == true
    }

    fn frames(turn: &Turn, request: &Recorded) -> Vec<String> {
        let mut frames = vec![chunk(&json!({ "role": "assistant", "content": "" }), &Value::Null)];
        let mut delta = |delta: Value| frames.push(chunk(&delta, &Value::Null));
        for piece in pieces(&turn.reasoning) {
            delta(json!({ "reasoning_content": piece }));
        }
        for piece in pieces(&turn.text) {
            delta(json!({ "content": piece }));
        }
        for (index, call) in turn.calls.iter().enumerate() {
            let function = json!({ "name": call.name, "arguments": "" });
            delta(
                json!({ "tool_calls": [{ "index": index, "id": call.id, "type": "function", "function": function }] }),
            );
            for piece in pieces(&call.arguments) {
                delta(json!({ "tool_calls": [{ "index": index, "function": { "arguments": piece } }] }));
            }
        }
        frames.push(chunk(&json!({}), &json!(finish_reason(turn))));
        if request.body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true))
            && let Some(usage) = usage(turn)
        {
            frames.push(format!(
                "data: {}\n\n",
                json!({ "id": "chatcmpl-1", "model": "fake-model-1", "choices": [], "usage": usage })
            ));
        }
        frames.push("data: [DONE]\n\n".to_owned());
        frames
    }

    fn whole(turn: &Turn, _request: &Recorded) -> Value {
        let call = |call: &super::TurnCall| json!({ "id": call.id, "type": "function", "function": { "name": call.name, "arguments": call.arguments } });
        json!({
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "fake-model-1",
            "choices": [{
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": turn.text,
                    "tool_calls": turn.calls.iter().map(call).collect::<Vec<_>>(),
                },
                "finish_reason": finish_reason(turn),
            }],
            "usage": usage(turn),
        })
    }

    fn error(code: u16, message: &str) -> Value {
        let kind = if code == 429 { "rate_limit_exceeded" } else { "error" };
        json!({ "error": { "message": message, "type": kind, "code": null } })
    }

    fn context_too_long() -> (u16, Value) {
        let message = "This model's maximum context length is 8 tokens. However, your messages resulted in 9 tokens.";
        (
            400,
            json!({ "error": { "message": message, "type": "invalid_request_error", "code": "context_length_exceeded" } }),
        )
    }

    fn error_frame(message: &str) -> String {
        format!("data: {}\n\n", json!({ "error": { "message": message, "type": "server_error", "code": 503 } }))
    }
}

fn chunk(delta: &Value, finish: &Value) -> String {
    let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
    let chunk =
        json!({ "id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "fake-model-1", "choices": [choice] });
    format!("data: {chunk}\n\n")
}

fn finish_reason(turn: &Turn) -> &'static str {
    match turn {
        _ if turn.is_cut_by_length => "length",
        _ if turn.calls.is_empty() => "stop",
        _ => "tool_calls",
    }
}

fn usage(turn: &Turn) -> Option<Value> {
    turn.usage.map(|(input, output, cached)| {
        json!({
            "prompt_tokens": input,
            "completion_tokens": output,
            "total_tokens": input + output,
            "prompt_tokens_details": { "cached_tokens": cached },
        })
    })
}

/// Each call is answered by exactly one tool message, before anything else comes.
fn messages(rules: &mut Rules<'_>, body: &Value) {
    let mut open: Vec<&str> = Vec::new();
    for (place, message) in list_at(body, "/messages").enumerate() {
        let role = text_at(message, "/role");
        if role != "tool" {
            rules.check(open.is_empty(), format!("the calls {open:?} have no result before message {place}"));
            open.clear();
        }
        match role {
            "system" => rules.check(place == 0, "a system message must be the first"),
            "user" => user(rules, message),
            "assistant" => {
                for call in list_at(message, "/tool_calls") {
                    open.push(assistant_call(rules, call));
                }
                let is_empty = text_at(message, "/content").is_empty() && open.is_empty();
                rules.check(!is_empty, format!("message {place} has neither text nor calls"));
            }
            "tool" => {
                let id = text_at(message, "/tool_call_id");
                let answered = open.iter().position(|call| *call == id);
                rules.check(answered.is_some(), format!("the result {id} answers no call"));
                if let Some(answered) = answered {
                    open.remove(answered);
                }
                rules.check(message["content"].is_string(), format!("the result {id} has no text"));
            }
            other => rules.check(false, format!("message {place} has the role {other}")),
        }
    }
    rules.check(open.is_empty(), format!("the calls {open:?} have no result"));
    let last = list_at(body, "/messages").last().map(|message| text_at(message, "/role"));
    rules.check(matches!(last, Some("user" | "tool")), "the last message must be the user's or a tool's");
}

fn assistant_call<'a>(rules: &mut Rules<'_>, call: &'a Value) -> &'a str {
    rules.check(call["type"] == "function", "a call has no type");
    rules.tool_name(text_at(call, "/function/name"));
    let arguments: Value = serde_json::from_str(text_at(call, "/function/arguments")).unwrap_or(Value::Null);
    rules.check(arguments.is_object(), "the arguments of a call are no JSON object");
    let id = text_at(call, "/id");
    rules.call_id(id);
    id
}

fn user(rules: &mut Rules<'_>, message: &Value) {
    for part in list_at(message, "/content") {
        let is_right = match text_at(part, "/type") {
            "text" => part["text"].is_string(),
            "image_url" => text_at(part, "/image_url/url").starts_with("data:image/"),
            _ => false,
        };
        rules.check(is_right, format!("a part of a user message is neither text nor image: {part}"));
    }
}
