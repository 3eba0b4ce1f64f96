//! OpenAI's chat completions: a request as a JSON body.

use masque_types::{
    message::{AssistantMessage, Message, Part, ToolCall, ToolMessage, joined_text},
    model::ModelRequest,
};
use serde_json::{Map, Value, json};

use crate::{
    answer::{arguments_object, opaque_of},
    config::{CallIds, OpenAiHabits, OutputLimit, StreamUsage},
    names::{ToolNames, wire_call_id},
    upstream::Ask,
};

/// Fields of an assistant message that some servers (DeepSeek, OpenRouter) want sent back unchanged.
pub(crate) const SENT_BACK: [&str; 2] = ["reasoning_content", "reasoning_details"];

/// The body of a streaming chat completion.
pub(crate) fn body(ask: Ask<'_>, names: &ToolNames, habits: OpenAiHabits) -> Value {
    let request = ask.request;
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(ask.model));
    body.insert("messages".to_owned(), Value::Array(messages(ask, names, habits.call_ids)));
    body.insert("stream".to_owned(), json!(true));
    if habits.usage == StreamUsage::Asked {
        body.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    }
    let limit = match habits.output_limit {
        OutputLimit::MaxTokens => "max_tokens",
        OutputLimit::MaxCompletionTokens => "max_completion_tokens",
    };
    body.insert(limit.to_owned(), json!(request.route.max_output_tokens));
    if let Some(temperature) = request.route.temperature {
        body.insert("temperature".to_owned(), json!(temperature));
    }
    if !request.tools.is_empty() {
        body.insert("tools".to_owned(), tools(request, names));
    }
    if let Some(schema) = &request.output_schema {
        body.insert("response_format".to_owned(), response_format(schema));
    }
    Value::Object(body)
}

fn tools(request: &ModelRequest, names: &ToolNames) -> Value {
    let tool = |tool: &masque_types::tool::ToolSpec| {
        json!({
            "type": "function",
            "function": {
                "name": names.wire(&tool.name),
                "description": tool.description,
                "parameters": tool.input_schema,
            }
        })
    };
    request.tools.iter().map(tool).collect()
}

fn response_format(schema: &Value) -> Value {
    json!({
        "type": "json_schema",
        "json_schema": { "name": "answer", "schema": schema, "strict": is_strict(schema) }
    })
}

/// Whether OpenAI accepts a schema as strict: each object lists all its properties as required and allows no others.
fn is_strict(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            let is_object = fields.get("type").and_then(Value::as_str) == Some("object");
            (!is_object || is_closed(fields)) && fields.values().all(is_strict)
        }
        Value::Array(items) => items.iter().all(is_strict),
        _ => true,
    }
}

fn is_closed(fields: &Map<String, Value>) -> bool {
    let required: Vec<&str> =
        fields.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    fields.get("additionalProperties") == Some(&Value::Bool(false))
        && fields
            .get("properties")
            .and_then(Value::as_object)
            .is_some_and(|properties| properties.keys().all(|name| required.contains(&name.as_str())))
}

fn messages(ask: Ask<'_>, names: &ToolNames, ids: CallIds) -> Vec<Value> {
    let mut list = Vec::with_capacity(ask.request.messages.len() + 1);
    if !ask.request.system.is_empty() {
        list.push(json!({ "role": "system", "content": &*ask.request.system }));
    }
    // Tool messages hold text only; images of tools follow as a user message, after the last of a row of results.
    let mut images = Vec::new();
    for message in &ask.request.messages {
        if !matches!(&**message, Message::Tool(_)) {
            flush_images(&mut list, &mut images);
        }
        match &**message {
            Message::User { content } => list.push(json!({ "role": "user", "content": user_content(content) })),
            Message::Assistant(message) => list.push(assistant(ask.provider, message, names, ids)),
            Message::Tool(message) => {
                images.extend(message.content.iter().filter(|part| part.as_text().is_none()).map(image));
                list.push(tool_result(message, ids));
            }
        }
    }
    flush_images(&mut list, &mut images);
    list
}

fn flush_images(list: &mut Vec<Value>, images: &mut Vec<Value>) {
    if !images.is_empty() {
        let mut content = vec![json!({ "type": "text", "text": "The images that the tools returned:" })];
        content.append(images);
        list.push(json!({ "role": "user", "content": content }));
    }
}

fn user_content(parts: &[Part]) -> Value {
    match parts {
        [Part::Text { text }] => json!(text),
        parts => parts
            .iter()
            .map(|part| part.as_text().map_or_else(|| image(part), |text| json!({ "type": "text", "text": text })))
            .collect(),
    }
}

fn image(part: &Part) -> Value {
    match part {
        Part::Image { media_type, data } => {
            json!({ "type": "image_url", "image_url": { "url": format!("data:{media_type};base64,{data}") } })
        }
        Part::Text { text } => json!({ "type": "text", "text": text }),
    }
}

fn tool_result(message: &ToolMessage, ids: CallIds) -> Value {
    let text = joined_text(&message.content);
    let content = if message.is_error { format!("Error: {text}") } else { text };
    json!({ "role": "tool", "tool_call_id": wire_call_id(&message.call_id, ids), "content": content })
}

fn assistant(provider: &str, message: &AssistantMessage, names: &ToolNames, ids: CallIds) -> Value {
    let mut object = Map::new();
    object.insert("role".to_owned(), json!("assistant"));
    let content = if message.text.is_empty() && !message.calls.is_empty() { Value::Null } else { json!(message.text) };
    object.insert("content".to_owned(), content);
    let own = opaque_of(message, provider);
    for field in SENT_BACK {
        if let Some(value) = own.and_then(|own| own.get(field)) {
            object.insert(field.to_owned(), value.clone());
        }
    }
    if !message.calls.is_empty() {
        let calls = message.calls.iter().map(|call| tool_call(call, own.is_some(), names, ids)).collect();
        object.insert("tool_calls".to_owned(), calls);
    }
    Value::Object(object)
}

fn tool_call(call: &ToolCall, is_own: bool, names: &ToolNames, ids: CallIds) -> Value {
    let mut value = json!({
        "id": wire_call_id(&call.id, ids),
        "type": "function",
        "function": { "name": names.wire(&call.tool), "arguments": arguments_object(call).to_string() },
    });
    let extra = call.signature.as_deref().filter(|_| is_own).and_then(|text| serde_json::from_str::<Value>(text).ok());
    if let (Some(extra), Some(object)) = (extra, value.as_object_mut()) {
        object.insert("extra_content".to_owned(), extra);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_closed_schemas_are_strict() {
        let closed = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"], "additionalProperties": false });
        assert!(is_strict(&closed));
        assert!(!is_strict(&json!({ "type": "array", "items": { "type": "object", "properties": {} } })));
        assert!(!is_strict(&json!({ "type": "object", "properties": { "a": closed }, "additionalProperties": false })));
    }
}
