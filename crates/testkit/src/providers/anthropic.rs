//! The fake of Anthropic's messages.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Recorded, Turn, Wire,
    rules::{Rules, list_at, text_at},
    turn::{arguments_value, pieces},
};

/// The dialect.
pub enum Anthropic {}

impl Wire for Anthropic {
    const BASE_PATH: &'static str = "";

    fn violations(request: &Recorded) -> Vec<String> {
        let mut rules = Rules::new(request);
        rules.check(request.path == "/v1/messages", format!("no such path: {}", request.path));
        rules.key_in("x-api-key", "");
        rules.check(request.headers.contains_key("anthropic-version"), "no header anthropic-version");
        rules.text_at("/model");
        rules.positive_at("/max_tokens");
        rules.tools(list_at(&request.body, "/tools").map(|tool| (&tool["name"], &tool["input_schema"])));
        let marks = request.body.to_string().matches("\"cache_control\"").count();
        rules.check(marks <= 4, format!("{marks} cache marks; 4 are allowed"));
        messages(&mut rules, &request.body);
        rules.broken()
    }

    fn wants_stream(request: &Recorded) -> bool {
        request.body["stream"] == true
    }

    fn frames(turn: &Turn, _request: &Recorded) -> Vec<String> {
        let mut frames = vec![frame(
            "message_start",
            json!({ "message": {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "fake-model-1", "content": [],
            "stop_reason": null, "usage": start_usage(turn),
        } }),
        )];
        frames.push(frame("ping", json!({})));
        for (index, block) in blocks(turn).into_iter().enumerate() {
            frames.push(frame("content_block_start", json!({ "index": index, "content_block": block.start })));
            let deltas = block.deltas.into_iter();
            frames.extend(deltas.map(|delta| frame("content_block_delta", json!({ "index": index, "delta": delta }))));
            frames.push(frame("content_block_stop", json!({ "index": index })));
        }
        let output = turn.usage.map(|(_, output, _)| json!({ "output_tokens": output }));
        let delta = json!({ "stop_reason": stop_reason(turn), "stop_sequence": null });
        frames.push(frame("message_delta", json!({ "delta": delta, "usage": output })));
        frames.push(frame("message_stop", json!({})));
        frames
    }

    fn whole(turn: &Turn, _request: &Recorded) -> Value {
        let text = json!({ "type": "text", "text": turn.text });
        let calls = turn.calls.iter().map(
            |call| json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": arguments_value(call) }),
        );
        let mut usage = start_usage(turn);
        usage["output_tokens"] = json!(turn.usage.map_or(0, |(_, output, _)| output));
        json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "fake-model-1",
            "content": std::iter::once(text).chain(calls).collect::<Vec<_>>(),
            "stop_reason": stop_reason(turn), "usage": usage,
        })
    }

    fn error(code: u16, message: &str) -> Value {
        let kind = match code {
            400 => "invalid_request_error",
            401 => "authentication_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            _ => "api_error",
        };
        json!({ "type": "error", "error": { "type": kind, "message": message } })
    }

    fn context_too_long() -> (u16, Value) {
        (400, Self::error(400, "prompt is too long: 200001 tokens > 200000 maximum"))
    }

    fn error_frame(message: &str) -> String {
        frame("error", json!({ "error": { "type": "overloaded_error", "message": message } }))
    }
}

struct Block {
    start: Value,
    deltas: Vec<Value>,
}

fn blocks(turn: &Turn) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !turn.reasoning.is_empty() {
        let thinking = |piece: String| json!({ "type": "thinking_delta", "thinking": piece });
        let mut deltas: Vec<Value> = pieces(&turn.reasoning).into_iter().map(thinking).collect();
        deltas.extend(["signed-", "by-fake"].map(|piece| json!({ "type": "signature_delta", "signature": piece })));
        blocks.push(Block { start: json!({ "type": "thinking", "thinking": "", "signature": "" }), deltas });
    }
    if !turn.text.is_empty() {
        let text = |piece: String| json!({ "type": "text_delta", "text": piece });
        let deltas = pieces(&turn.text).into_iter().map(text).collect();
        blocks.push(Block { start: json!({ "type": "text", "text": "" }), deltas });
    }
    for call in &turn.calls {
        let input = |piece: String| json!({ "type": "input_json_delta", "partial_json": piece });
        let deltas = pieces(&call.arguments).into_iter().map(input).collect();
        let start = json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": {} });
        blocks.push(Block { start, deltas });
    }
    blocks
}

fn frame(name: &str, mut data: Value) -> String {
    data["type"] = json!(name);
    format!("event: {name}\ndata: {data}\n\n")
}

fn start_usage(turn: &Turn) -> Value {
    turn.usage.map_or(Value::Null, |(input, _, cached)| {
        json!({
            "input_tokens": input - cached,
            "cache_read_input_tokens": cached,
            "cache_creation_input_tokens": 0,
            "output_tokens": 1,
        })
    })
}

fn stop_reason(turn: &Turn) -> &'static str {
    match turn {
        _ if turn.is_cut_by_length => "max_tokens",
        _ if turn.calls.is_empty() => "end_turn",
        _ => "tool_use",
    }
}

/// Roles alternate; the results of a message's calls are at the beginning of the next message.
fn messages(rules: &mut Rules<'_>, body: &Value) {
    let list: Vec<&Value> = list_at(body, "/messages").collect();
    let roles: Vec<&str> = list.iter().map(|message| text_at(message, "/role")).collect();
    rules.alternate(&roles, "assistant");
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for message in list {
        rules.check(list_at(message, "/content").next().is_some(), "a message has no blocks");
        let mut results_over = false;
        for block in list_at(message, "/content") {
            if text_at(block, "/type") == "tool_result" {
                let id = text_at(block, "/tool_use_id");
                rules.check(open.remove(id), format!("the result {id} answers no call of the message before"));
                rules.check(!results_over, "results must come first in a message");
            } else {
                results_over = true;
                rules.check(
                    open.is_empty() || text_at(message, "/role") == "assistant",
                    format!("the calls {open:?} have no result"),
                );
            }
            content_block(rules, block, &mut open);
        }
    }
    rules.check(open.is_empty(), format!("the calls {open:?} have no result"));
}

fn content_block<'a>(rules: &mut Rules<'_>, block: &'a Value, open: &mut BTreeSet<&'a str>) {
    match text_at(block, "/type") {
        "text" => rules.check(!text_at(block, "/text").is_empty(), "a text block is empty"),
        "image" => rules.check(!text_at(block, "/source/data").is_empty(), "an image has no data"),
        "tool_result" => rules.check(block["is_error"].is_boolean(), "a result does not say whether it is an error"),
        "thinking" => {
            rules.check(text_at(block, "/signature") == "signed-by-fake", "a thinking block has lost its signature");
        }
        "tool_use" => {
            rules.tool_name(text_at(block, "/name"));
            rules.call_id(text_at(block, "/id"));
            rules.check(block["input"].is_object(), "the input of a call is no object");
            rules.check(open.insert(text_at(block, "/id")), "two calls have the same id");
        }
        other => rules.check(false, format!("there is no block of type {other}")),
    }
}
