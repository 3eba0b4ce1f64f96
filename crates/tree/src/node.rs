//! The tree: values with their places.
//!
//! Owns making, looking at and changing trees, and writing them with serde. Leaves out parsing.

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Number, Value};

use crate::place::Place;

/// A value and where it stands: in the one file that is read, or, with another `P`, in one of several.
#[derive(Debug, Clone, PartialEq)]
pub struct Node<P = Place> {
    /// Where the value stands.
    pub place: P,
    /// The value.
    pub content: Content<P>,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Content<P = Place> {
    /// Nothing: `null`, or a key of YAML without a value.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, and how it is written where that differs: `3.10`, `022`.
    Number(Number, Option<String>),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node<P>>),
    /// A mapping.
    Map(Vec<Entry<P>>),
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<P = Place> {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: P,
    /// The value.
    pub value: Node<P>,
}

/// Values of our own making, which have no place.
impl Node {
    /// A value.
    #[must_use]
    pub const fn new(content: Content) -> Self {
        Self { place: Place::FILE, content }
    }

    /// A number.
    pub fn number(number: impl Into<Number>) -> Self {
        Self::new(Content::Number(number.into(), None))
    }

    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(Content::Text(text.into()))
    }

    /// A list of texts.
    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::new(Content::List(texts.into_iter().map(Self::text).collect()))
    }

    /// What a value of JSON says.
    #[must_use]
    pub fn json(value: Value) -> Self {
        Self::json_at(&Place::FILE, value)
    }

    /// A mapping; what is absent is left out.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Option<Self>)>) -> Self {
        let present = entries.into_iter().filter_map(|(key, value)| Some((key, value?)));
        Self::map_at(&Place::FILE, present)
    }
}

/// Values that stand for what is written at a place.
impl<P: Clone> Node<P> {
    /// A value.
    pub const fn at(place: P, content: Content<P>) -> Self {
        Self { place, content }
    }

    /// A text.
    pub fn text_at(place: &P, text: impl Into<String>) -> Self {
        Self::at(place.clone(), Content::Text(text.into()))
    }

    /// A mapping.
    pub fn map_at<K: Into<String>>(place: &P, entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        let entry = |(key, value): (K, Self)| Entry { key: key.into(), place: value.place.clone(), value };
        Self::at(place.clone(), Content::Map(entries.into_iter().map(entry).collect()))
    }

    /// What a value of JSON says, all of it at one place.
    #[must_use]
    pub fn json_at(place: &P, value: Value) -> Self {
        let content = match value {
            Value::Null => Content::Null,
            Value::Bool(value) => Content::Bool(value),
            Value::Number(number) => Content::Number(number, None),
            Value::String(text) => Content::Text(text),
            Value::Array(items) => Content::List(items.into_iter().map(|item| Self::json_at(place, item)).collect()),
            Value::Object(map) => {
                return Self::map_at(place, map.into_iter().map(|(key, value)| (key, Self::json_at(place, value))));
            }
        };
        Self::at(place.clone(), content)
    }

    /// The same tree with other texts.
    #[must_use]
    pub fn with_texts(&self, change: &mut impl FnMut(&P, &str) -> String) -> Self {
        let content = match &self.content {
            Content::Text(text) => Content::Text(change(&self.place, text)),
            Content::List(items) => Content::List(items.iter().map(|item| item.with_texts(change)).collect()),
            Content::Map(entries) => Content::Map(
                entries
                    .iter()
                    .map(|Entry { key, place, value }| Entry {
                        key: key.clone(),
                        place: place.clone(),
                        value: value.with_texts(change),
                    })
                    .collect(),
            ),
            content => content.clone(),
        };
        Self::at(self.place.clone(), content)
    }
}

impl<P> Node<P> {
    /// The same tree with other places.
    pub fn with_places<Q>(self, change: &impl Fn(P) -> Q) -> Node<Q> {
        let content = match self.content {
            Content::Null => Content::Null,
            Content::Bool(value) => Content::Bool(value),
            Content::Number(number, written) => Content::Number(number, written),
            Content::Text(text) => Content::Text(text),
            Content::List(items) => Content::List(items.into_iter().map(|item| item.with_places(change)).collect()),
            Content::Map(entries) => Content::Map(
                entries
                    .into_iter()
                    .map(|Entry { key, place, value }| Entry {
                        key,
                        place: change(place),
                        value: value.with_places(change),
                    })
                    .collect(),
            ),
        };
        Node { place: change(self.place), content }
    }

    /// The value of a key, where this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The entries, where this is a mapping.
    pub const fn entries(&self) -> &[Entry<P>] {
        match &self.content {
            Content::Map(entries) => entries.as_slice(),
            _ => &[],
        }
    }

    /// The entries to be changed, where this is a mapping.
    pub const fn entries_mut(&mut self) -> Option<&mut Vec<Entry<P>>> {
        match &mut self.content {
            Content::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, where this is a list.
    pub const fn items(&self) -> &[Self] {
        match &self.content {
            Content::List(items) => items.as_slice(),
            _ => &[],
        }
    }

    /// The text, where this is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A text, a number or a boolean as it is written.
    pub fn written(&self) -> Option<String> {
        match &self.content {
            Content::Text(text) => Some(text.clone()),
            Content::Number(_, Some(written)) => Some(written.clone()),
            Content::Number(number, None) => Some(number.to_string()),
            Content::Bool(value) => Some(value.to_string()),
            Content::Null | Content::List(_) | Content::Map(_) => None,
        }
    }

    /// Whether this is a mapping.
    pub const fn is_map(&self) -> bool {
        matches!(self.content, Content::Map(_))
    }

    /// Whether this is a mapping or a list without anything in it.
    pub const fn is_empty(&self) -> bool {
        match &self.content {
            Content::Map(entries) => entries.is_empty(),
            Content::List(items) => items.is_empty(),
            _ => false,
        }
    }

    /// What kind of value it is, for messages.
    pub const fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Bool(_) => "a boolean",
            Content::Number(..) => "a number",
            Content::Text(_) => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    /// The value without places.
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(value) => Value::Bool(*value),
            Content::Number(value, _) => Value::Number(value.clone()),
            Content::Text(value) => Value::String(value.clone()),
            Content::List(items) => items.iter().map(Self::to_json).collect(),
            Content::Map(entries) => {
                Value::Object(entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect())
            }
        }
    }
}

impl<P> Serialize for Node<P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.content {
            Content::Null => serializer.serialize_unit(),
            Content::Bool(value) => serializer.serialize_bool(*value),
            // `Number` itself is written as a structure of its own by formats other than JSON.
            Content::Number(number, _) => match (number.as_u64(), number.as_i64()) {
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
