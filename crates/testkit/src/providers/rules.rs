//! Rules that the dialects share: tool names and schemas, headers, pairs of calls and results.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Recorded;

/// Collects the rules that a request breaks.
pub(super) struct Rules<'a> {
    request: &'a Recorded,
    broken: Vec<String>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(request: &'a Recorded) -> Self {
        let mut rules = Self { request, broken: Vec::new() };
        rules.check(request.body.is_object(), "the body is no JSON object");
        let content_type = request.headers.get("content-type").map(String::as_str);
        rules.check(content_type == Some("application/json"), "the content type is not application/json");
        rules
    }

    pub(super) fn check(&mut self, holds: bool, rule: impl Into<String>) {
        if !holds {
            self.broken.push(rule.into());
        }
    }

    /// The key is in its own header and in no other place.
    pub(super) fn key_in(&mut self, header: &str, prefix: &str) {
        let value = self.request.headers.get(header).map(String::as_str).unwrap_or_default();
        let key = value.strip_prefix(prefix).unwrap_or_default();
        self.check(!key.is_empty(), format!("no key in the header {header}"));
        let others = ["authorization", "x-api-key", "x-goog-api-key"].into_iter().filter(|other| *other != header);
        for other in others {
            self.check(!self.request.headers.contains_key(other), format!("the header {other} does not belong here"));
        }
        let leaks = !key.is_empty() && (self.request.path.contains(key) || self.request.body.to_string().contains(key));
        self.check(!leaks, "the key is in the path or body");
    }

    pub(super) fn text_at(&mut self, pointer: &str) {
        let text = self.request.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        self.check(!text.is_empty(), format!("{pointer} must be a text"));
    }

    pub(super) fn positive_at(&mut self, pointer: &str) {
        let number = self.request.body.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        self.check(number > 0, format!("{pointer} must be a positive number"));
    }

    /// Names are legal and unique, schemas are object schemas. Takes pairs of name and schema.
    pub(super) fn tools<'v>(&mut self, tools: impl Iterator<Item = (&'v Value, &'v Value)>) {
        let mut seen = BTreeSet::new();
        for (name, schema) in tools {
            let name = name.as_str().unwrap_or_default();
            self.tool_name(name);
            self.check(seen.insert(name), format!("the tool {name} is there twice"));
            let is_object = schema.get("type").and_then(Value::as_str) == Some("object");
            self.check(is_object, format!("the schema of {name} is not of type object"));
            let properties = schema.get("properties");
            self.check(
                properties.is_none_or(|properties| {
                    properties
                        .as_object()
                        .is_some_and(|fields| fields.values().all(|field| field.is_object() || field.is_boolean()))
                }),
                format!("the properties of {name} are no schemas"),
            );
        }
    }

    pub(super) fn tool_name(&mut self, name: &str) {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let is_legal = (1..=64).contains(&name.len()) && name.bytes().all(legal);
        self.check(is_legal, format!("the tool name `{name}` does not match ^[a-zA-Z0-9_-]{{1,64}}$"));
    }

    pub(super) fn call_id(&mut self, id: &str) {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let is_legal = (1..=64).contains(&id.len()) && id.bytes().all(legal);
        self.check(is_legal, format!("the call id `{id}` does not match ^[a-zA-Z0-9_-]{{1,64}}$"));
    }

    /// Roles alternate, beginning and ending with the user's.
    pub(super) fn alternate(&mut self, roles: &[&str], model_role: &str) {
        self.check(!roles.is_empty(), "there are no messages");
        for (place, role) in roles.iter().enumerate() {
            let expected = if place % 2 == 0 { "user" } else { model_role };
            self.check(*role == expected, format!("message {place} must be of role {expected}, not {role}"));
        }
        self.check(roles.last() != Some(&model_role), "the last message must be the user's");
    }

    pub(super) fn broken(self) -> Vec<String> {
        self.broken
    }
}

/// The items of a list at a pointer; none when there is no list.
pub(super) fn list_at<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + Clone {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// The text at a pointer; empty when there is none.
pub(super) fn text_at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
