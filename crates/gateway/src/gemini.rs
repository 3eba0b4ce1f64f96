//! Google's `streamGenerateContent` as a dialect: the body and the reader of its stream.
//!
//! Thought signatures belong to parts: those of calls travel with the call, those of texts in the message's opaque
//! data. A stream is complete when a finish reason came; there is no other end marker.

use std::collections::BTreeMap;

use masque_types::{
    cost::Usage,
    message::{AssistantMessage, Message, Part, ToolCall, ToolMessage, joined_text},
    model::{Failure, FinishReason},
};
use serde_json::{Map, Value, json};

use crate::{
    answer::{Answer, Screen, arguments_object, opaque_of},
    config::CallIds,
    failure::{of_error_object, protocol},
    names::{CallIdsInRun, ToolNames, wire_call_id},
    sse::Event,
    upstream::{Ask, Dialect, KeyHeader, Progress, Reader},
};

/// What the provider documents for calls that another model made, in models that demand signatures.
const FOREIGN_SIGNATURE: &str = "skip_thought_signature_validator";

/// The dialect.
pub(crate) struct Gemini;

impl Dialect for Gemini {
    fn path(&self, ask: Ask<'_>) -> String {
        format!("/v1beta/models/{}:streamGenerateContent", ask.model)
    }

    fn query(&self) -> Option<&'static str> {
        Some("alt=sse")
    }

    fn body(&self, ask: Ask<'_>, names: &ToolNames) -> Value {
        let request = ask.request;
        let mut body = Map::new();
        body.insert("contents".to_owned(), contents(ask, names));
        if !request.system.is_empty() {
            body.insert("systemInstruction".to_owned(), json!({ "parts": [{ "text": &*request.system }] }));
        }
        if !request.tools.is_empty() {
            body.insert("tools".to_owned(), tools(ask, names));
        }
        body.insert("generationConfig".to_owned(), generation_config(ask));
        Value::Object(body)
    }

    fn key_header(&self) -> KeyHeader {
        KeyHeader::Named("x-goog-api-key")
    }

    fn headers(&self, _ask: Ask<'_>) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(GeminiReader::default())
    }
}

fn generation_config(ask: Ask<'_>) -> Value {
    let request = ask.request;
    let mut config = Map::new();
    config.insert("maxOutputTokens".to_owned(), json!(request.route.max_output_tokens));
    if let Some(temperature) = request.route.temperature {
        config.insert("temperature".to_owned(), json!(temperature));
    }
    // Beside tools, older models refuse a schema.
    if let Some(schema) = request.output_schema.as_ref().filter(|_| request.tools.is_empty()) {
        config.insert("responseMimeType".to_owned(), json!("application/json"));
        config.insert("responseJsonSchema".to_owned(), (**schema).clone());
    }
    Value::Object(config)
}

fn tools(ask: Ask<'_>, names: &ToolNames) -> Value {
    let tool = |tool: &masque_types::tool::ToolSpec| {
        json!({
            "name": names.wire(&tool.name),
            "description": tool.description,
            "parametersJsonSchema": tool.input_schema,
        })
    };
    json!([{ "functionDeclarations": ask.request.tools.iter().map(tool).collect::<Value>() }])
}

/// The conversation with alternating roles: all results of one turn are one message.
fn contents(ask: Ask<'_>, names: &ToolNames) -> Value {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in &ask.request.messages {
        let (role, parts) = match &**message {
            Message::User { content } => ("user", content.iter().map(part).collect()),
            Message::Assistant(message) => ("model", model_parts(ask, message, names)),
            Message::Tool(message) => ("user", tool_result(message, names)),
        };
        match turns.last_mut() {
            Some((last, list)) if *last == role => list.extend(parts),
            _ => turns.push((role, parts)),
        }
    }
    turns.retain(|(_, parts)| !parts.is_empty());
    turns.into_iter().map(|(role, parts)| json!({ "role": role, "parts": parts })).collect()
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text { text } => json!({ "text": text }),
        Part::Image { media_type, data } => json!({ "inlineData": { "mimeType": media_type, "data": data } }),
    }
}

fn tool_result(message: &ToolMessage, names: &ToolNames) -> Vec<Value> {
    let field = if message.is_error { "error" } else { "output" };
    let response = json!({
        "functionResponse": {
            "id": wire_call_id(&message.call_id, CallIds::Usual),
            "name": names.wire(&message.tool),
            "response": { field: joined_text(&message.content) },
        }
    });
    let images = message.content.iter().filter(|part| part.as_text().is_none()).map(part);
    std::iter::once(response).chain(images).collect()
}

fn model_parts(ask: Ask<'_>, message: &AssistantMessage, names: &ToolNames) -> Vec<Value> {
    let own = opaque_of(message, ask.provider);
    let kept = own.and_then(|own| own.get("parts")).and_then(Value::as_array);
    let mut parts: Vec<Value> = match kept {
        Some(kept) => kept.clone(),
        None if message.text.is_empty() => Vec::new(),
        None => vec![json!({ "text": message.text })],
    };
    let demands_signatures = !["gemini-1", "gemini-2"].iter().any(|old| ask.model.starts_with(old));
    parts.extend(message.calls.iter().enumerate().map(|(place, call)| {
        let signature = match own {
            Some(_) => call.signature.as_deref(),
            None => Some(FOREIGN_SIGNATURE).filter(|_| place == 0 && demands_signatures),
        };
        function_call(call, signature, names)
    }));
    parts
}

fn function_call(call: &ToolCall, signature: Option<&str>, names: &ToolNames) -> Value {
    let mut part = json!({
        "functionCall": {
            "id": wire_call_id(&call.id, CallIds::Usual),
            "name": names.wire(&call.tool),
            "args": arguments_object(call),
        }
    });
    if let (Some(signature), Some(object)) = (signature, part.as_object_mut()) {
        object.insert("thoughtSignature".to_owned(), json!(signature));
    }
    part
}

#[derive(Default)]
struct GeminiReader {
    text: String,
    reasoning: String,
    /// Text parts with their signatures; texts without one are joined.
    parts: Vec<Value>,
    calls: Vec<Call>,
    finish: Option<FinishReason>,
    counts: BTreeMap<String, u64>,
    response_id: Option<String>,
    model: Option<String>,
}

struct Call {
    id: String,
    name: String,
    arguments: Value,
    signature: Option<String>,
}

impl Reader for GeminiReader {
    fn event(&mut self, event: &Event, screen: &Screen<'_>) -> Result<(), Failure> {
        let chunk: Value = serde_json::from_str(&event.data)
            .map_err(|error| protocol(format!("the answer holds malformed JSON: {error}")))?;
        if chunk.get("error").is_some_and(|error| !error.is_null()) {
            return Err(of_error_object(&chunk));
        }
        self.take_head(&chunk);
        for part in chunk.pointer("/candidates/0/content/parts").and_then(Value::as_array).into_iter().flatten() {
            self.take_part(part, screen);
        }
        if let Some(reason) = chunk.pointer("/candidates/0/finishReason").and_then(Value::as_str) {
            self.finish = Some(finish_reason(reason)?);
        } else if chunk.pointer("/promptFeedback/blockReason").is_some() {
            self.finish = Some(FinishReason::ContentFilter);
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        if self.finish.is_some() { Progress::Complete } else { Progress::Partial }
    }

    fn answer(self: Box<Self>, ask: Ask<'_>, names: &ToolNames) -> Result<Answer, Failure> {
        let finish = self.finish.ok_or_else(|| protocol("the answer ended without a finish reason"))?;
        let usage = self.usage();
        let mut ids = CallIdsInRun::new(ask.request);
        let calls: Vec<ToolCall> = self.calls.into_iter().map(|call| call.whole(&mut ids, names)).collect();
        let is_signed = |part: &Value| part.get("thoughtSignature").is_some();
        // Marks the message as this provider's own, also when only its calls are signed.
        let opaque = (self.parts.iter().any(is_signed) || !calls.is_empty())
            .then(|| json!({ "provider": ask.provider, "parts": self.parts }));
        let finish = if finish == FinishReason::Stop && !calls.is_empty() { FinishReason::ToolCalls } else { finish };
        let reasoning = Some(self.reasoning).filter(|text| !text.is_empty());
        let message = AssistantMessage { text: self.text, reasoning, calls, opaque };
        Ok(Answer { message, finish, usage, reported_model: self.model, response_id: self.response_id })
    }
}

impl GeminiReader {
    fn take_head(&mut self, chunk: &Value) {
        let text = |name: &str| chunk.get(name).and_then(Value::as_str).map(str::to_owned);
        self.response_id = self.response_id.take().or_else(|| text("responseId"));
        self.model = self.model.take().or_else(|| text("modelVersion"));
        for (name, count) in chunk.get("usageMetadata").and_then(Value::as_object).into_iter().flatten() {
            if let Some(count) = count.as_u64() {
                self.counts.insert(name.clone(), count);
            }
        }
    }

    fn usage(&self) -> Option<Usage> {
        let count = |name: &str| self.counts.get(name).copied();
        let more = |name: &str| count(name).unwrap_or_default();
        Some(Usage {
            input_tokens: count("promptTokenCount")?.saturating_add(more("toolUsePromptTokenCount")),
            // Thoughts are billed as output, but not part of the candidates' count.
            output_tokens: more("candidatesTokenCount").saturating_add(more("thoughtsTokenCount")),
            cache_read_tokens: more("cachedContentTokenCount"),
            cache_write_tokens: 0,
        })
    }

    fn take_part(&mut self, part: &Value, screen: &Screen<'_>) {
        let signature = part.get("thoughtSignature").and_then(Value::as_str);
        if let Some(call) = part.get("functionCall") {
            let text = |name: &str| call.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let arguments = call.get("args").filter(|args| !args.is_null()).cloned().unwrap_or_else(|| json!({}));
            let signature = signature.map(str::to_owned);
            self.calls.push(Call { id: text("id"), name: text("name"), arguments, signature });
            return;
        }
        let text = part.get("text").and_then(Value::as_str).unwrap_or_default();
        if part.get("thought").and_then(Value::as_bool) == Some(true) {
            self.reasoning.push_str(text);
            screen.reasoning(text);
            return;
        }
        self.text.push_str(text);
        screen.text(text);
        self.keep_text(text, signature);
    }

    fn keep_text(&mut self, text: &str, signature: Option<&str>) {
        let open = self.parts.last_mut().filter(|part| part.get("thoughtSignature").is_none());
        match (signature, open.and_then(|part| part.get_mut("text"))) {
            (Some(signature), _) => self.parts.push(json!({ "text": text, "thoughtSignature": signature })),
            (None, _) if text.is_empty() => {}
            (None, Some(Value::String(whole))) => whole.push_str(text),
            (None, _) => self.parts.push(json!({ "text": text })),
        }
    }
}

impl Call {
    fn whole(self, ids: &mut CallIdsInRun<'_>, names: &ToolNames) -> ToolCall {
        ToolCall {
            id: ids.next(&self.id),
            tool: names.canonical(&self.name),
            arguments: self.arguments,
            signature: self.signature,
        }
    }
}

fn finish_reason(reason: &str) -> Result<FinishReason, Failure> {
    Ok(match reason {
        "STOP" | "FINISH_REASON_UNSPECIFIED" => FinishReason::Stop,
        "MAX_TOKENS" => FinishReason::Length,
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "OTHER" => {
            return Err(protocol(format!("the provider gave up the answer: {reason}")));
        }
        // SAFETY, RECITATION, BLOCKLIST, PROHIBITED_CONTENT, SPII, LANGUAGE and further ones of the kind.
        _ => FinishReason::ContentFilter,
    })
}
