//! Anthropic's messages as a dialect: the body with its cache marks, and the reader of its stream.
//!
//! An answer with thinking is kept block by block, in order, and sent back as it came: the provider checks signatures
//! and positions. Output schemas are not sent; the engine checks the answer.

use masque_types::{
    cost::Usage,
    message::{AssistantMessage, Message, Part, ToolCall, ToolMessage},
    model::{Failure, FinishReason},
};
use serde_json::{Map, Value, json};

use crate::{
    answer::{Answer, Screen, arguments_object, opaque_of, parse_arguments},
    config::CallIds,
    failure::{of_error_object, protocol},
    names::{CallIdsInRun, ToolNames, wire_call_id},
    sse::Event,
    upstream::{Ask, Dialect, KeyHeader, Progress, Reader},
};

/// The version of the API that this dialect speaks.
const API_VERSION: &str = "2023-06-01";

/// The dialect.
pub(crate) struct Anthropic;

impl Dialect for Anthropic {
    fn path(&self, _ask: Ask<'_>) -> String {
        "/v1/messages".to_owned()
    }

    fn body(&self, ask: Ask<'_>, names: &ToolNames) -> Value {
        let request = ask.request;
        let mut body = json!({
            "model": ask.model,
            "max_tokens": request.route.max_output_tokens,
            "stream": true,
            "messages": messages(ask, names),
        });
        let mut set = |field: &str, value: Value| {
            if let Some(object) = body.as_object_mut() {
                object.insert(field.to_owned(), value);
            }
        };
        if !request.system.is_empty() {
            set("system", json!([{ "type": "text", "text": &*request.system, "cache_control": cache_mark() }]));
        }
        if !request.tools.is_empty() {
            set("tools", tools(ask, names));
        }
        if let Some(temperature) = request.route.temperature {
            set("temperature", json!(temperature));
        }
        body
    }

    fn key_header(&self) -> KeyHeader {
        KeyHeader::Named("x-api-key")
    }

    fn headers(&self, _ask: Ask<'_>) -> Vec<(&'static str, String)> {
        vec![("anthropic-version", API_VERSION.to_owned())]
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(AnthropicReader::default())
    }
}

/// Marks the end of a prefix that the provider should keep: the tools, the system prompt, the conversation so far.
fn cache_mark() -> Value {
    json!({ "type": "ephemeral" })
}

fn mark_last(values: &mut [Value]) {
    if let Some(last) = values.last_mut().and_then(Value::as_object_mut) {
        last.insert("cache_control".to_owned(), cache_mark());
    }
}

fn tools(ask: Ask<'_>, names: &ToolNames) -> Value {
    let tool = |tool: &masque_types::tool::ToolSpec| {
        json!({
            "name": names.wire(&tool.name),
            "description": tool.description,
            "input_schema": tool.input_schema,
        })
    };
    let mut tools: Vec<Value> = ask.request.tools.iter().map(tool).collect();
    mark_last(&mut tools);
    Value::Array(tools)
}

/// The conversation with alternating roles: results of tools and what the user says after them are one message.
fn messages(ask: Ask<'_>, names: &ToolNames) -> Value {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in &ask.request.messages {
        let (role, blocks) = match &**message {
            Message::User { content } => ("user", content.iter().filter_map(part).collect()),
            Message::Assistant(message) => ("assistant", assistant(ask.provider, message, names)),
            Message::Tool(message) => ("user", vec![tool_result(message)]),
        };
        match turns.last_mut() {
            Some((last, list)) if *last == role => list.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    turns.retain(|(_, blocks)| !blocks.is_empty());
    if let Some((_, blocks)) = turns.last_mut() {
        mark_last(blocks);
    }
    turns.into_iter().map(|(role, content)| json!({ "role": role, "content": content })).collect()
}

/// A part as a block; empty texts are refused by the provider and left out.
fn part(part: &Part) -> Option<Value> {
    match part {
        Part::Text { text } if text.is_empty() => None,
        Part::Text { text } => Some(json!({ "type": "text", "text": text })),
        Part::Image { media_type, data } => {
            Some(json!({ "type": "image", "source": { "type": "base64", "media_type": media_type, "data": data } }))
        }
    }
}

fn tool_result(message: &ToolMessage) -> Value {
    json!({
        "type": "tool_result",
        "tool_use_id": wire_call_id(&message.call_id, CallIds::Usual),
        "content": message.content.iter().filter_map(part).collect::<Value>(),
        "is_error": message.is_error,
    })
}

fn assistant(provider: &str, message: &AssistantMessage, names: &ToolNames) -> Vec<Value> {
    let kept = opaque_of(message, provider).and_then(|own| own.get("blocks")).and_then(Value::as_array);
    if let Some(kept) = kept {
        return kept.iter().filter_map(|block| kept_block(block, message, names)).collect();
    }
    let text = part(&Part::text(message.text.as_str()));
    text.into_iter().chain(message.calls.iter().map(|call| tool_use(call, names))).collect()
}

/// A block as it came. Calls are kept by place only, since their names and ids are spelled anew in each request.
fn kept_block(block: &Value, message: &AssistantMessage, names: &ToolNames) -> Option<Value> {
    match block.get("call").and_then(Value::as_u64) {
        Some(place) => message.calls.get(usize::try_from(place).ok()?).map(|call| tool_use(call, names)),
        None => Some(block.clone()),
    }
}

fn tool_use(call: &ToolCall, names: &ToolNames) -> Value {
    json!({
        "type": "tool_use",
        "id": wire_call_id(&call.id, CallIds::Usual),
        "name": names.wire(&call.tool),
        "input": arguments_object(call),
    })
}

#[derive(Default)]
struct AnthropicReader {
    blocks: Vec<Block>,
    stop_reason: Option<String>,
    counts: Map<String, Value>,
    response_id: Option<String>,
    model: Option<String>,
    is_stopped: bool,
}

/// A content block with what its deltas brought.
struct Block {
    index: u64,
    /// As it started, then with texts and signature completed.
    value: Value,
    /// The arguments of a call, as text.
    input: String,
}

impl Reader for AnthropicReader {
    fn event(&mut self, event: &Event, screen: &Screen<'_>) -> Result<(), Failure> {
        let data: Value = serde_json::from_str(&event.data)
            .map_err(|error| protocol(format!("the answer holds malformed JSON: {error}")))?;
        match data.get("type").and_then(Value::as_str).unwrap_or(&event.name) {
            "message_start" => self.start(data.get("message").unwrap_or(&Value::Null)),
            "content_block_start" => self.start_block(&data, screen)?,
            "content_block_delta" => self.extend_block(&data, screen)?,
            "message_delta" => {
                self.count(data.get("usage"));
                let reason = data.pointer("/delta/stop_reason").and_then(Value::as_str);
                self.stop_reason = reason.map(str::to_owned).or(self.stop_reason.take());
            }
            "message_stop" => self.is_stopped = true,
            "error" => return Err(of_error_object(&data)),
            // `content_block_stop`, `ping`, and events that are not known yet.
            _ => {}
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        if self.is_stopped { Progress::Ended } else { Progress::Partial }
    }

    fn answer(self: Box<Self>, ask: Ask<'_>, names: &ToolNames) -> Result<Answer, Failure> {
        let stop_reason =
            self.stop_reason.as_deref().ok_or_else(|| protocol("the answer ended without a stop reason"))?;
        let finish = match stop_reason {
            "tool_use" => FinishReason::ToolCalls,
            "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
            "refusal" => FinishReason::ContentFilter,
            _ => FinishReason::Stop,
        };
        let usage = self.usage();
        let message = message(self.blocks, ask, names);
        Ok(Answer { message, finish, usage, reported_model: self.model, response_id: self.response_id })
    }
}

impl AnthropicReader {
    fn start(&mut self, message: &Value) {
        let text = |name: &str| message.get(name).and_then(Value::as_str).map(str::to_owned);
        self.response_id = text("id");
        self.model = text("model");
        self.count(message.get("usage"));
    }

    /// Counts are cumulative: later ones replace earlier ones.
    fn count(&mut self, usage: Option<&Value>) {
        for (name, count) in usage.and_then(Value::as_object).into_iter().flatten() {
            if count.is_u64() {
                self.counts.insert(name.clone(), count.clone());
            }
        }
    }

    fn usage(&self) -> Option<Usage> {
        let count = |name: &str| self.counts.get(name).and_then(Value::as_u64);
        let (read, written) = (count("cache_read_input_tokens"), count("cache_creation_input_tokens"));
        let (read, written) = (read.unwrap_or_default(), written.unwrap_or_default());
        Some(Usage {
            // The provider counts only what neither came from its cache nor went there.
            input_tokens: count("input_tokens")?.saturating_add(read).saturating_add(written),
            output_tokens: count("output_tokens")?,
            cache_read_tokens: read,
            cache_write_tokens: written,
        })
    }

    fn start_block(&mut self, data: &Value, screen: &Screen<'_>) -> Result<(), Failure> {
        let index = data.get("index").and_then(Value::as_u64);
        let (Some(index), Some(value)) = (index, data.get("content_block").filter(|block| block.is_object())) else {
            return Err(protocol("a content block starts without index or content"));
        };
        screen.text(value.get("text").and_then(Value::as_str).unwrap_or_default());
        screen.reasoning(value.get("thinking").and_then(Value::as_str).unwrap_or_default());
        self.blocks.push(Block { index, value: value.clone(), input: String::new() });
        Ok(())
    }

    fn extend_block(&mut self, data: &Value, screen: &Screen<'_>) -> Result<(), Failure> {
        let index = data.get("index").and_then(Value::as_u64);
        let block = self.blocks.iter_mut().rfind(|block| Some(block.index) == index);
        let (Some(block), Some(delta)) = (block, data.get("delta")) else {
            return Err(protocol("a delta belongs to no content block"));
        };
        let text = |name: &str| delta.get(name).and_then(Value::as_str).unwrap_or_default();
        match text("type") {
            "text_delta" => {
                screen.text(text("text"));
                block.append("text", text("text"));
            }
            "thinking_delta" => {
                screen.reasoning(text("thinking"));
                block.append("thinking", text("thinking"));
            }
            "signature_delta" => block.append("signature", text("signature")),
            "input_json_delta" => block.input.push_str(text("partial_json")),
            // Citations and what is not known yet: the text counts.
            _ => {}
        }
        Ok(())
    }
}

impl Block {
    fn kind(&self) -> &str {
        self.text("type")
    }

    fn text(&self, field: &str) -> &str {
        self.value.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    fn append(&mut self, field: &str, piece: &str) {
        let Some(object) = self.value.as_object_mut() else { return };
        match object.get_mut(field) {
            Some(Value::String(text)) => text.push_str(piece),
            _ => _ = object.insert(field.to_owned(), json!(piece)),
        }
    }

    fn call(&self, ids: &mut CallIdsInRun<'_>, names: &ToolNames) -> ToolCall {
        // Some servers send the arguments whole, in the block's start.
        let whole = self.value.get("input").filter(|input| input.as_object().is_some_and(|fields| !fields.is_empty()));
        let arguments = match whole {
            Some(whole) if self.input.is_empty() => whole.clone(),
            _ => parse_arguments(&self.input),
        };
        ToolCall { id: ids.next(self.text("id")), tool: names.canonical(self.text("name")), arguments, signature: None }
    }
}

fn message(blocks: Vec<Block>, ask: Ask<'_>, names: &ToolNames) -> AssistantMessage {
    let mut ids = CallIdsInRun::new(ask.request);
    let (mut message, mut reasoning, mut kept) = (AssistantMessage::default(), String::new(), Vec::new());
    // Plain text and calls are rebuilt from the message; only other blocks make it necessary to keep all.
    let must_keep = blocks.iter().any(|block| !matches!(block.kind(), "text" | "tool_use"));
    for block in blocks {
        match block.kind() {
            "tool_use" => {
                kept.push(json!({ "call": message.calls.len() }));
                message.calls.push(block.call(&mut ids, names));
            }
            "text" => {
                message.text.push_str(block.text("text"));
                if !block.text("text").is_empty() {
                    kept.push(block.value);
                }
            }
            _ => {
                reasoning.push_str(block.text("thinking"));
                kept.push(block.value);
            }
        }
    }
    message.reasoning = Some(reasoning).filter(|text| !text.is_empty());
    message.opaque = must_keep.then(|| json!({ "provider": ask.provider, "blocks": kept }));
    message
}
