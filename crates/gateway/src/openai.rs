//! OpenAI's chat completions as a dialect: the reader of its stream. The request's body is in `openai_body`.
//!
//! Servers differ: call fragments come with or without an index, arguments as text or as an object, counts in the last
//! chunk or after it, reasoning under two names. A stream is complete when a finish reason came; `[DONE]` ends it, but
//! proves nothing.

use masque_types::{
    cost::Usage,
    message::{AssistantMessage, ToolCall},
    model::{Failure, FinishReason},
};
use serde_json::{Map, Value, json};

use crate::{
    answer::{Answer, Screen, parse_arguments},
    config::OpenAiHabits,
    failure::{of_error_object, protocol},
    names::{CallIdsInRun, ToolNames},
    openai_body::{self, SENT_BACK},
    sse::Event,
    upstream::{Ask, Dialect, KeyHeader, Progress, Reader},
};

/// The dialect, with the habits of one server.
pub(crate) struct OpenAi {
    pub(crate) habits: OpenAiHabits,
}

impl Dialect for OpenAi {
    fn path(&self, _ask: Ask<'_>) -> String {
        "/chat/completions".to_owned()
    }

    fn body(&self, ask: Ask<'_>, names: &ToolNames) -> Value {
        openai_body::body(ask, names, self.habits)
    }

    fn key_header(&self) -> KeyHeader {
        KeyHeader::Bearer
    }

    fn headers(&self, ask: Ask<'_>) -> Vec<(&'static str, String)> {
        vec![("x-client-request-id", format!("{}-{}", ask.request.run, ask.request.step))]
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::new(OpenAiReader::default())
    }
}

#[derive(Default)]
struct OpenAiReader {
    text: String,
    reasoning: String,
    calls: Vec<PartialCall>,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    response_id: Option<String>,
    model: Option<String>,
    sent_back: Map<String, Value>,
    is_done: bool,
}

#[derive(Default)]
struct PartialCall {
    index: Option<i64>,
    id: String,
    name: String,
    arguments: String,
    extra: Option<Value>,
}

impl Reader for OpenAiReader {
    fn event(&mut self, event: &Event, screen: &Screen<'_>) -> Result<(), Failure> {
        if event.data.trim() == "[DONE]" {
            self.is_done = true;
            return Ok(());
        }
        let chunk: Value = serde_json::from_str(&event.data)
            .map_err(|error| protocol(format!("the answer holds malformed JSON: {error}")))?;
        if event.name == "error" || chunk.get("error").is_some_and(|error| !error.is_null()) {
            return Err(of_error_object(&chunk));
        }
        self.take_head(&chunk);
        if let Some(choice) = chunk.pointer("/choices/0") {
            self.take_choice(choice, screen)?;
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        match (self.finish, self.is_done) {
            (None, false) => Progress::Partial,
            (Some(_), false) => Progress::Complete,
            (_, true) => Progress::Ended,
        }
    }

    fn answer(self: Box<Self>, ask: Ask<'_>, names: &ToolNames) -> Result<Answer, Failure> {
        let finish =
            self.finish.ok_or_else(|| protocol("the answer was cut off: its stream ended without a finish reason"))?;
        let mut ids = CallIdsInRun::new(ask.request);
        let calls: Vec<ToolCall> = self.calls.into_iter().map(|call| call.whole(&mut ids, names)).collect();
        let finish = if finish == FinishReason::Stop && !calls.is_empty() { FinishReason::ToolCalls } else { finish };
        let mut opaque = self.sent_back;
        if !opaque.is_empty() || calls.iter().any(|call| call.signature.is_some()) {
            opaque.insert("provider".to_owned(), json!(ask.provider));
        }
        let message = AssistantMessage {
            text: self.text,
            reasoning: Some(self.reasoning).filter(|text| !text.is_empty()),
            calls,
            opaque: (!opaque.is_empty()).then_some(Value::Object(opaque)),
        };
        Ok(Answer { message, finish, usage: self.usage, reported_model: self.model, response_id: self.response_id })
    }
}

impl OpenAiReader {
    fn take_head(&mut self, chunk: &Value) {
        let text = |name: &str| chunk.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        self.response_id = self.response_id.take().or_else(|| text("id").map(str::to_owned));
        self.model = self.model.take().or_else(|| text("model").map(str::to_owned));
        let counts = [chunk.get("usage"), chunk.pointer("/x_groq/usage")];
        self.usage = counts.into_iter().flatten().find_map(usage).or(self.usage);
    }

    fn take_choice(&mut self, choice: &Value, screen: &Screen<'_>) -> Result<(), Failure> {
        let delta = choice.get("delta").or_else(|| choice.get("message")).unwrap_or(&Value::Null);
        let text = |name: &str| delta.get(name).and_then(Value::as_str).unwrap_or_default();
        for piece in [text("content"), text("refusal")] {
            self.text.push_str(piece);
            screen.text(piece);
        }
        let reasoning = Some(text("reasoning_content")).filter(|text| !text.is_empty()).unwrap_or(text("reasoning"));
        self.reasoning.push_str(reasoning);
        screen.reasoning(reasoning);
        self.keep_for_later(delta);
        for fragment in delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
            self.take_call(fragment);
        }
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            self.finish = Some(finish_reason(reason)?);
        }
        Ok(())
    }

    /// Collects the fields that must be sent back: texts are joined, lists are appended.
    fn keep_for_later(&mut self, delta: &Value) {
        for field in SENT_BACK {
            match (delta.get(field), self.sent_back.get_mut(field)) {
                (None | Some(Value::Null), _) => {}
                (Some(Value::String(piece)), Some(Value::String(text))) => text.push_str(piece),
                (Some(Value::Array(pieces)), Some(Value::Array(list))) => list.extend(pieces.iter().cloned()),
                (Some(piece), _) => _ = self.sent_back.insert(field.to_owned(), piece.clone()),
            }
        }
    }

    fn take_call(&mut self, fragment: &Value) {
        let text = |path: &str| fragment.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let place = self.place_of(fragment.get("index").and_then(Value::as_i64), text("/id"), text("/function/name"));
        let Some(call) = self.calls.get_mut(place) else { return };
        if call.id.is_empty() {
            text("/id").clone_into(&mut call.id);
        }
        if call.name.is_empty() {
            text("/function/name").clone_into(&mut call.name);
        }
        match fragment.pointer("/function/arguments") {
            Some(Value::String(piece)) => call.arguments.push_str(piece),
            None | Some(Value::Null) => {}
            Some(whole) => call.arguments = whole.to_string(),
        }
        if let Some(extra) = fragment.get("extra_content").filter(|extra| !extra.is_null()) {
            call.extra = Some(extra.clone());
        }
    }

    /// Where a fragment belongs: to the call of its index, unless it has another id (some servers number all calls
    /// 0); without an index, to the last call, unless it has an id or name of its own.
    fn place_of(&mut self, index: Option<i64>, id: &str, name: &str) -> usize {
        let continues = |call: &PartialCall| id.is_empty() || call.id == id || (call.id.is_empty() && name.is_empty());
        let known = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index && continues(call)),
            None if !id.is_empty() => self.calls.iter().rposition(|call| call.id == id),
            None if !name.is_empty() => None,
            None => self.calls.len().checked_sub(1),
        };
        known.unwrap_or_else(|| {
            self.calls.push(PartialCall { index, ..PartialCall::default() });
            self.calls.len() - 1
        })
    }
}

impl PartialCall {
    fn whole(self, ids: &mut CallIdsInRun<'_>, names: &ToolNames) -> ToolCall {
        ToolCall {
            id: ids.next(&self.id),
            tool: names.canonical(&self.name),
            arguments: parse_arguments(&self.arguments),
            signature: self.extra.map(|extra| extra.to_string()),
        }
    }
}

fn finish_reason(reason: &str) -> Result<FinishReason, Failure> {
    Ok(match reason {
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        "length" | "max_tokens" | "model_length" => FinishReason::Length,
        "content_filter" => FinishReason::ContentFilter,
        "error" => return Err(protocol("the provider ended the answer with an error")),
        _ => FinishReason::Stop,
    })
}

fn usage(value: &Value) -> Option<Usage> {
    let count = |path: &str| value.pointer(path).and_then(Value::as_u64);
    Some(Usage {
        input_tokens: count("/prompt_tokens")?,
        output_tokens: count("/completion_tokens").unwrap_or_default(),
        cache_read_tokens: count("/prompt_tokens_details/cached_tokens")
            .or_else(|| count("/prompt_cache_hit_tokens"))
            .unwrap_or_default(),
        cache_write_tokens: count("/prompt_tokens_details/cache_write_tokens").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(fragments: &[Value]) -> Vec<(String, String, String)> {
        let mut reader = OpenAiReader::default();
        for fragment in fragments {
            reader.take_call(fragment);
        }
        reader.calls.into_iter().map(|call| (call.id, call.name, call.arguments)).collect()
    }

    fn fragment(index: Option<i64>, id: &str, name: &str, arguments: Value) -> Value {
        let mut fragment = json!({ "id": id, "function": { "name": name, "arguments": arguments } });
        if let Some(index) = index {
            fragment["index"] = json!(index);
        }
        fragment
    }

    #[test]
    fn fragments_find_their_call_whatever_the_server_numbers() {
        let expected = [("a", "x", "{}"), ("b", "y", "{\"k\":1}")];
        let expected = expected.map(|(id, name, text)| (id.to_owned(), name.to_owned(), text.to_owned()));
        let interleaved = [
            fragment(Some(0), "a", "x", json!("")),
            fragment(Some(1), "b", "y", json!("{\"k\"")),
            fragment(Some(0), "", "", json!("{}")),
            fragment(Some(1), "", "", json!(":1}")),
        ];
        assert_eq!(calls(&interleaved), expected);
        let all_zero = [fragment(Some(0), "a", "x", json!("{}")), fragment(Some(0), "b", "y", json!("{\"k\":1}"))];
        assert_eq!(calls(&all_zero), expected);
        let no_index = [
            fragment(None, "a", "x", json!({})),
            fragment(None, "b", "y", json!("{\"k\"")),
            fragment(None, "", "", json!(":1}")),
        ];
        assert_eq!(calls(&no_index), expected);
        let id_repeated = [fragment(Some(-1), "b", "y", json!("{\"k\"")), fragment(Some(-1), "b", "", json!(":1}"))];
        assert_eq!(calls(&id_repeated), expected[1..]);
    }
}
