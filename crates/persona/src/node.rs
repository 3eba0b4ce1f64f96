//! YAML, JSON and TOML as a tree whose nodes know their line and column, and keep the order of their keys.
//!
//! Owns parsing, with caps on depth and size. Leaves out what the keys mean, and TOML, which has its own file.

use std::fmt;

use masque_types::diagnostic::Diagnostic;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, SeqAccess, Visitor},
    ser::SerializeMap as _,
};
use serde_json::{Number, Value};
use serde_saphyr::{Location, Spanned};

/// A place in a file, both from 1; zero means that it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Place {
    /// The whole file.
    pub(crate) const FILE: Self = Self { line: 0, column: 0 };

    /// The start of the file.
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    /// Adds the place to a diagnostic, where it is known.
    pub(crate) fn mark(self, diagnostic: Diagnostic) -> Diagnostic {
        if self.line == 0 { diagnostic } else { diagnostic.at(self.line, self.column.max(1)) }
    }

    fn or(self, other: Self) -> Self {
        if self.line == 0 { other } else { self }
    }
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Self { line: narrow(location.line()), column: narrow(location.column()) }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) content: Content,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) value: Node,
}

/// Why a text could not be parsed.
#[derive(Debug, Clone)]
pub(crate) struct ParseError {
    pub(crate) place: Place,
    pub(crate) message: String,
}

/// Deep enough for any real file, and far from the end of the stack.
pub(crate) const MAX_DEPTH: usize = 32;

/// Parses one YAML document.
pub(crate) fn parse_yaml(text: &str) -> Result<Node, ParseError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH, flow_nesting_limit: MAX_DEPTH, max_nodes: 20_000, max_aliases: 100, max_documents: 2,
        },
        strict_booleans: true,
        with_snippet: false,
        emit_comments: false,
    };
    let spanned: Spanned<Content> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(Place::from).unwrap_or_default();
        ParseError { place, message: plain_message(&error.without_snippet().to_string()) }
    })?;
    Ok(Node::from(spanned))
}

/// Parses one JSON document. The YAML parser reads it a second time for the places; where the two languages differ,
/// the values are right and the places are missing.
pub(crate) fn parse_json(text: &str) -> Result<Node, ParseError> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let narrow = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let place = Place { line: narrow(error.line()), column: narrow(error.column()) };
        ParseError { place, message: before_place(&error.to_string(), " at line ") }
    })?;
    match parse_yaml(text) {
        Ok(node) if node.to_json() == value => Ok(node),
        _ => Ok(Node::unplaced(value)),
    }
}

/// The parser's sentence without the place that it repeats, on one line.
fn plain_message(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let first = first.strip_prefix("error: ").unwrap_or(first);
    let first = match first.split_once(": ") {
        Some((head, rest)) if head.starts_with("line ") => rest,
        _ => first,
    };
    // The advice that follows is for programmers.
    let first = first.split_once(", set ").map_or(first, |(fault, _)| fault);
    before_place(first, " at line ")
}

fn before_place(message: &str, mark: &str) -> String {
    message.rsplit_once(mark).map_or(message, |(front, _)| front).trim_end_matches(',').to_owned()
}

impl Node {
    /// A value of our own making, which has no place.
    pub(crate) const fn new(content: Content) -> Self {
        Self { place: Place::FILE, content }
    }

    /// A text of our own making.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::new(Content::Text(text.into()))
    }

    /// A list of texts of our own making.
    pub(crate) fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::new(Content::List(texts.into_iter().map(Self::text).collect()))
    }

    /// A mapping of our own making; what is absent is left out.
    pub(crate) fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Option<Self>)>) -> Self {
        let entries = entries
            .into_iter()
            .filter_map(|(key, value)| value.map(|value| Entry { key: key.into(), place: value.place, value }));
        Self::new(Content::Map(entries.collect()))
    }

    /// The value of a key, where this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            _ => None,
        }
    }

    /// The text, where this is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether this is a mapping or a list without anything in it.
    pub(crate) const fn is_empty(&self) -> bool {
        match &self.content {
            Content::Map(entries) => entries.is_empty(),
            Content::List(items) => items.is_empty(),
            _ => false,
        }
    }

    /// The value without places.
    pub(crate) fn to_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(value) => Value::Bool(*value),
            Content::Number(value) => Value::Number(value.clone()),
            Content::Text(value) => Value::String(value.clone()),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Map(entries) => {
                Value::Object(entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect())
            }
        }
    }

    /// What kind of value it is, for messages.
    pub(crate) const fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Bool(_) => "a boolean",
            Content::Number(_) => "a number",
            Content::Text(_) => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    pub(crate) fn unplaced(value: Value) -> Self {
        let content = match value {
            Value::Null => Content::Null,
            Value::Bool(value) => Content::Bool(value),
            Value::Number(value) => Content::Number(value),
            Value::String(value) => Content::Text(value),
            Value::Array(items) => Content::List(items.into_iter().map(Self::unplaced).collect()),
            Value::Object(map) => Content::Map(
                map.into_iter()
                    .map(|(key, value)| Entry { key, place: Place::FILE, value: Self::unplaced(value) })
                    .collect(),
            ),
        };
        Self { place: Place::FILE, content }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.content {
            Content::Null => serializer.serialize_unit(),
            Content::Bool(value) => serializer.serialize_bool(*value),
            // `Number` itself is written as a structure of its own by formats other than JSON.
            Content::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(whole), _) => serializer.serialize_u64(whole),
                (None, Some(whole)) => serializer.serialize_i64(whole),
                (None, None) => serializer.serialize_f64(number.as_f64().unwrap_or_default()),
            },
            Content::Text(text) => serializer.serialize_str(text),
            Content::List(items) => serializer.collect_seq(items),
            Content::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for entry in entries {
                    map.serialize_entry(&entry.key, &entry.value)?;
                }
                map.end()
            }
        }
    }
}

impl From<Spanned<Content>> for Node {
    fn from(spanned: Spanned<Content>) -> Self {
        Self { place: spanned.referenced.into(), content: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Content, E> {
        Ok(Content::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Content, E> {
        Ok(Content::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Content, E> {
        Ok(Content::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Content, E> {
        // JSON has no infinity and no NaN; as a text such a value is refused where a number is expected.
        Ok(Number::from_f64(value).map_or_else(|| Content::Text(value.to_string()), Content::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Content, E> {
        Ok(Content::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Content, E> {
        Ok(Content::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Content, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Spanned<Content>>()? {
            list.push(item.into());
        }
        Ok(Content::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Content, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = entries.next_entry::<Spanned<String>, Spanned<Content>>()? {
            let value = Node::from(value);
            map.push(Entry { key: key.value, place: Place::from(key.referenced).or(value.place), value });
        }
        Ok(Content::Map(map))
    }
}
