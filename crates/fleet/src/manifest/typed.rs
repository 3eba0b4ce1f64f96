//! Typed values out of a tree, with every fault that is in it.
//!
//! Owns a serde deserialiser over [`Node`] whose errors know their place; [`read`] takes each faulty part out and goes
//! on. So the structures that say a format are its only statement, for the reader and for the schema.

use std::{borrow::Cow, fmt, marker::PhantomData};

use masque_types::diagnostic::Diagnostic;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
    forward_to_deserialize_any,
};

use super::{
    node::{Content, Entry, Node, Place},
    notes::{Notes, suggestion},
};

/// Faults that are told of one mapping at most.
const MAX_FAULTS: usize = 50;

/// Reads a value. What is faulty is told and left out; nothing comes back when the whole is faulty.
pub(super) fn read<T: DeserializeOwned>(node: &Node, notes: &mut Notes) -> Option<T> {
    let mut rest = Cow::Borrowed(node);
    for _ in 0..MAX_FAULTS {
        match T::deserialize(Reader(&rest)) {
            Ok(value) => return Some(value),
            Err(fault) => {
                notes.push(fault.diagnostic(node));
                if !take_out(rest.to_mut(), &fault.steps) {
                    return None;
                }
            }
        }
    }
    None
}

/// Removes what these steps lead to; the last step comes first.
fn take_out(node: &mut Node, steps: &[Step]) -> bool {
    let Some((step, inner)) = steps.split_last() else { return false };
    match (&mut node.content, step) {
        (Content::Map(entries), Step::Key(index, _)) if inner.is_empty() && *index < entries.len() => {
            entries.remove(*index);
            true
        }
        (Content::List(items), Step::Item(index)) if inner.is_empty() && *index < items.len() => {
            items.remove(*index);
            true
        }
        (Content::Map(entries), Step::Key(index, _)) => {
            entries.get_mut(*index).is_some_and(|entry| take_out(&mut entry.value, inner))
        }
        (Content::List(items), Step::Item(index)) => items.get_mut(*index).is_some_and(|item| take_out(item, inner)),
        _ => false,
    }
}

/// A value, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed<T> {
    pub(super) place: Place,
    pub(super) value: T,
}

/// Either a short form, a text, number, boolean or list, or a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Short<S, L> {
    Short(S),
    Long(L),
}

/// A way into a tree.
#[derive(Debug, Clone)]
enum Step {
    Key(usize, String),
    Item(usize),
}

/// Why a value cannot be read, and where.
#[derive(Debug)]
pub(super) struct Fault {
    place: Option<Place>,
    /// The way to it; the last step comes first.
    steps: Vec<Step>,
    message: Message,
}

#[derive(Debug)]
enum Message {
    Key { word: String, known: &'static [&'static str] },
    Word { word: String, known: &'static [&'static str] },
    Wrong { found: String, expected: String },
    Missing(&'static str),
    Other(String),
}

impl Fault {
    fn new(message: Message) -> Self {
        Self { place: None, steps: Vec::new(), message }
    }

    fn at(mut self, place: &Place) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self
    }

    fn below(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The dotted path, for messages.
    fn path(&self) -> String {
        let mut path = String::new();
        for step in self.steps.iter().rev() {
            match step {
                Step::Key(_, key) if path.is_empty() => path.push_str(key),
                Step::Key(_, key) => path.extend([".", key]),
                Step::Item(_) => {}
            }
        }
        path
    }

    fn diagnostic(&self, root: &Node) -> Diagnostic {
        let place = self.place.as_ref().unwrap_or(&root.place);
        let path = self.path();
        match &self.message {
            Message::Key { known, word } => {
                place.error(format!("unknown key `{path}`")).hint(suggestion(word, known.iter().copied()))
            }
            Message::Word { word, known } => {
                let error = place.error(format!("`{path}` is `{word}`, which is not known"));
                error.hint(suggestion(word, known.iter().copied()))
            }
            Message::Wrong { found, expected } if path.is_empty() => {
                place.error(format!("found {found}, expected {expected}"))
            }
            Message::Wrong { found, expected } => place.error(format!("`{path}` is {found}, expected {expected}")),
            Message::Missing(key) if path.is_empty() => place.error(format!("`{key}` is missing")),
            Message::Missing(key) => place.error(format!("`{path}.{key}` is missing")),
            Message::Other(text) => {
                let (text, hint) =
                    text.split_once('\n').map_or((text.as_str(), None), |(text, hint)| (text, Some(hint)));
                let error = if path.is_empty() { place.error(text) } else { place.error(format!("`{path}`: {text}")) };
                hint.map_or_else(|| error.clone(), |hint| error.clone().hint(hint))
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.message)
    }
}

impl std::error::Error for Fault {}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Message::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Message::Wrong { found: named(found), expected: plain(expected) })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Message::Wrong { found: named(found), expected: plain(expected) })
    }

    fn unknown_field(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(Message::Key { word: word.to_owned(), known })
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(Message::Word { word: word.to_owned(), known })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Message::Missing(field))
    }
}

/// A value in the words of files instead of those of Rust.
fn named(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("{value}"),
        Unexpected::Signed(value) => format!("{value}"),
        Unexpected::Float(value) => format!("{value}"),
        Unexpected::Str(text) => format!("`{text}`"),
        Unexpected::Unit => "empty".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a mapping".to_owned(),
        other => other.to_string(),
    }
}

fn plain(expected: &dyn Expected) -> String {
    match expected.to_string().as_str() {
        "a string" | "string" | "a borrowed string" => "a text".to_owned(),
        "a boolean" | "bool" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a mapping".to_owned(),
        "u16" | "u32" | "u64" => "a whole number of 0 or more".to_owned(),
        "f64" => "a number".to_owned(),
        other if other.starts_with("struct ") => "a mapping".to_owned(),
        other => other.to_owned(),
    }
}

/// The deserialiser of a node.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a Node);

const PLACED: &str = "$masque::manifest::Placed";
const PLACED_FIELDS: &[&str] = &["file", "line", "column", "value"];

impl<'de> Reader<'de> {
    fn any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.content {
            Content::Null => visitor.visit_unit(),
            Content::Bool(value) => visitor.visit_bool(*value),
            Content::Number(number, _) => match (number.as_u64(), number.as_i64()) {
                (Some(whole), _) => visitor.visit_u64(whole),
                (None, Some(whole)) => visitor.visit_i64(whole),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or_default()),
            },
            Content::Text(text) => visitor.visit_borrowed_str(text),
            Content::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            Content::Map(entries) => visitor.visit_map(Entries { entries, next: 0 }),
        }
    }

    /// A number that came out of a variable, or was put into quotes, is still a number.
    fn number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Content::Text(text) = &self.0.content else { return self.any(visitor) };
        match (text.trim().parse::<u64>(), text.trim().parse::<i64>(), text.trim().parse::<f64>()) {
            (Ok(whole), ..) => visitor.visit_u64(whole),
            (_, Ok(whole), _) => visitor.visit_i64(whole),
            (_, _, Ok(number)) if number.is_finite() => visitor.visit_f64(number),
            _ => self.any(visitor),
        }
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.number(visitor).map_err(|fault| fault.at(&self.0.place))
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.any(visitor).map_err(|fault| fault.at(&self.0.place))
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32
        deserialize_u64 deserialize_f32 deserialize_f64
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.as_text() {
            Some("true") => visitor.visit_bool(true),
            Some("false") => visitor.visit_bool(false),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.written() {
            Some(text) => visitor.visit_string(text).map_err(|fault: Fault| fault.at(&self.0.place)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.content {
            Content::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self).map_err(|fault| fault.at(&self.0.place))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == PLACED {
            return visitor.visit_map(PlacedAccess { node: self.0, next: 0 });
        }
        // A list would be taken for the fields in their order.
        match self.0.content {
            Content::List(_) => {
                Err(Fault::new(Message::Wrong { found: "a list".to_owned(), expected: "a mapping".to_owned() })
                    .at(&self.0.place))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0.as_text() {
            Some(text) => visitor.visit_enum(text.into_deserializer()).map_err(|fault: Fault| fault.at(&self.0.place)),
            None => Err(Fault::new(Message::Wrong { found: self.0.kind().to_owned(), expected: "a text".to_owned() })
                .at(&self.0.place)),
        }
    }

    forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'a> {
    items: &'a [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(item) = self.items.get(self.next) else { return Ok(None) };
        let step = Step::Item(self.next);
        self.next += 1;
        seed.deserialize(Reader(item)).map(Some).map_err(|fault| fault.at(&item.place).below(step))
    }
}

struct Entries<'a> {
    entries: &'a [Entry],
    next: usize,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some(entry) = self.entries.get(self.next) else { return Ok(None) };
        self.next += 1;
        let key = seed.deserialize(entry.key.as_str().into_deserializer());
        key.map(Some).map_err(|fault: Fault| fault.at(&entry.place).below(Step::Key(self.next - 1, entry.key.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let index = self.next.saturating_sub(1);
        let Some(entry) = self.entries.get(index) else { return Err(serde::de::Error::custom("no value")) };
        seed.deserialize(Reader(&entry.value))
            .map_err(|fault| fault.at(&entry.value.place).below(Step::Key(index, entry.key.clone())))
    }
}

struct PlacedAccess<'a> {
    node: &'a Node,
    next: usize,
}

impl<'de> MapAccess<'de> for PlacedAccess<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some(key) = PLACED_FIELDS.get(self.next) else { return Ok(None) };
        self.next += 1;
        seed.deserialize((*key).into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        match self.next {
            1 => seed.deserialize(self.node.place.file().into_deserializer()),
            2 => seed.deserialize(self.node.place.line.into_deserializer()),
            3 => seed.deserialize(self.node.place.column.into_deserializer()),
            _ => seed.deserialize(Reader(self.node)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Placed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlacedVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for PlacedVisitor<T> {
            type Value = Placed<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value of a manifest")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Placed<T>, A::Error> {
                let absent = || serde::de::Error::custom("a place is missing");
                let (_, file): (String, String) = map.next_entry()?.ok_or_else(absent)?;
                let (_, line): (String, u32) = map.next_entry()?.ok_or_else(absent)?;
                let (_, column): (String, u32) = map.next_entry()?.ok_or_else(absent)?;
                let (_, value): (String, T) = map.next_entry()?.ok_or_else(absent)?;
                Ok(Placed { place: Place { file: Some(file.into()), line, column }, value })
            }
        }

        deserializer.deserialize_struct(PLACED, PLACED_FIELDS, PlacedVisitor(PhantomData))
    }
}

impl<'de, S: Deserialize<'de>, L: Deserialize<'de>> Deserialize<'de> for Short<S, L> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ShortVisitor<S, L>(PhantomData<(S, L)>);

        impl<'de, S: Deserialize<'de>, L: Deserialize<'de>> Visitor<'de> for ShortVisitor<S, L> {
            type Value = Short<S, L>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a mapping")
            }

            fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
                S::deserialize(value.into_deserializer()).map(Short::Short)
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Self::Value, E> {
                S::deserialize(value.into_deserializer()).map(Short::Short)
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Self::Value, E> {
                S::deserialize(value.into_deserializer()).map(Short::Short)
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
                S::deserialize(value.into_deserializer()).map(Short::Short)
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
                S::deserialize(value.into_deserializer()).map(Short::Short)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
                S::deserialize(SeqAccessDeserializer::new(items)).map(Short::Short)
            }

            fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
                L::deserialize(MapAccessDeserializer::new(entries)).map(Short::Long)
            }
        }

        deserializer.deserialize_any(ShortVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Placed<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<S: JsonSchema, L: JsonSchema> JsonSchema for Short<S, L> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Or{}", S::schema_name(), L::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "anyOf": [generator.subschema_for::<S>(), generator.subschema_for::<L>()] })
    }
}
