//! Typed values out of a tree, with every fault that is in it.
//!
//! [`read`] takes each faulty part out and goes on. So the structures that say a format are its only statement, for the
//! reader and for the schema.

use std::{borrow::Cow, fmt};

use masque_types::diagnostic::Diagnostic;
use serde::de::{DeserializeOwned, Expected, Unexpected};

use super::{
    node::{Content, Node, Place},
    notes::{Notes, suggestion},
    reader::Reader,
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

/// A way into a tree.
#[derive(Debug, Clone)]
pub(super) enum Step {
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
pub(super) enum Message {
    Key { word: String, known: &'static [&'static str] },
    Word { word: String, known: &'static [&'static str] },
    Wrong { found: String, expected: String },
    Missing(&'static str),
    Other(String),
}

impl Fault {
    pub(super) fn new(message: Message) -> Self {
        Self { place: None, steps: Vec::new(), message }
    }

    pub(super) fn at(mut self, place: &Place) -> Self {
        self.place.get_or_insert_with(|| place.clone());
        self
    }

    pub(super) fn below(mut self, step: Step) -> Self {
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
