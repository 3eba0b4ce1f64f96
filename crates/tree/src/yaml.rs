//! YAML as a tree.
//!
//! Owns the caps on what the text may hold, and numbers as they are written.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;
use serde_saphyr::{Location, Spanned};

use crate::{
    MAX_DEPTH,
    node::{Content, Entry, Node},
    place::{ParseError, Place},
};

/// What a text may hold at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Values, after aliases are put in.
    pub nodes: usize,
    /// Aliases.
    pub aliases: usize,
}

/// Parses one YAML document.
///
/// # Errors
/// The text is not YAML, or holds more than it may.
pub fn parse_yaml(text: &str, limits: Limits) -> Result<Node, ParseError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH, flow_nesting_limit: MAX_DEPTH, max_nodes: limits.nodes, max_aliases: limits.aliases,
            max_documents: 2,
        },
        strict_booleans: true,
        with_snippet: false,
        emit_comments: false,
    };
    let spanned: Spanned<Content> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(Place::from).unwrap_or_default();
        ParseError { place, message: plain_message(&error.without_snippet().to_string()) }
    })?;
    let mut node = Node::from(spanned);
    Writing::of(text).complete(&mut node);
    Ok(node)
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
    before_place(first.split_once(", set ").map_or(first, |(fault, _)| fault))
}

/// A parser's sentence without the place at its end.
pub(crate) fn before_place(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(front, _)| front).trim_end_matches(',').to_owned()
}

/// How numbers are written. Where it looked last is kept: a line may be long and hold many of them.
struct Writing<'a> {
    lines: Vec<&'a str>,
    place: Place,
    /// What the line has from that place on.
    rest: &'a str,
}

impl<'a> Writing<'a> {
    fn of(text: &'a str) -> Self {
        Self { lines: text.lines().collect(), place: Place::FILE, rest: "" }
    }

    /// Puts into the numbers of a tree how they are written.
    fn complete(&mut self, node: &mut Node) {
        match &mut node.content {
            Content::Number(number, written) => {
                let token = self.token(node.place);
                let is_number = token.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
                *written = (is_number && token != number.to_string()).then(|| token.to_owned());
            }
            Content::List(items) => items.iter_mut().for_each(|item| self.complete(item)),
            Content::Map(entries) => entries.iter_mut().for_each(|entry| self.complete(&mut entry.value)),
            Content::Null | Content::Bool(_) | Content::Text(_) => {}
        }
    }

    fn token(&mut self, place: Place) -> &'a str {
        if place.line != self.place.line || place.column < self.place.column {
            self.place = Place { line: place.line, column: 1 };
            self.rest = self.lines.get((place.line as usize).saturating_sub(1)).copied().unwrap_or_default();
        }
        let skipped = place.column.saturating_sub(self.place.column) as usize;
        let at = self.rest.char_indices().nth(skipped).map_or(self.rest.len(), |(at, _)| at);
        self.rest = self.rest.get(at..).unwrap_or_default();
        self.place = place;
        self.rest.split([' ', ',', ']', '}', '#', '\t']).next().unwrap_or_default()
    }
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Self { line: narrow(location.line()), column: narrow(location.column()) }
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
        Ok(Content::Number(value.into(), None))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Content, E> {
        Ok(Content::Number(value.into(), None))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Content, E> {
        // JSON has no infinity and no NaN; as a text such a value is refused where a number is expected.
        let number = Number::from_f64(value).map(|number| Content::Number(number, None));
        Ok(number.unwrap_or_else(|| Content::Text(value.to_string())))
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
            let place = Some(Place::from(key.referenced)).filter(|place| place.line > 0).unwrap_or(value.place);
            map.push(Entry { key: key.value, place, value });
        }
        Ok(Content::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { nodes: 100, aliases: 2 };

    #[test]
    fn numbers_keep_how_they_are_written() {
        let node = parse_yaml("a: [é, 3.10, 022, 7, 1e3]\nb: &x 1.50\nc: *x\n", LIMITS).unwrap();
        let written: Vec<_> = node.get("a").unwrap().items().iter().filter_map(Node::written).collect();
        assert_eq!(written, ["é", "3.10", "022", "7", "1e3"]);
        assert_eq!(node.get("b").unwrap().written().unwrap(), "1.50");
        assert_eq!(node.get("c").unwrap().written().unwrap(), "1.5");
        assert_eq!(node.get("c").unwrap().place, Place { line: 3, column: 4 });
    }

    #[test]
    fn what_a_text_may_hold_is_bounded() {
        let fault = |text: &str| parse_yaml(text, LIMITS).unwrap_err();
        assert!(fault(&format!("[{}]", "1, ".repeat(101))).message.starts_with("budget breached"));
        assert!(fault("a: &x 1\nb: [*x, *x, *x]").message.starts_with("budget breached"));
        assert!(parse_yaml(&format!("{}1{}", "[".repeat(60), "]".repeat(60)), LIMITS).is_err());
        assert_eq!(fault("a: 1\nb: [\n").place.line, 2);
    }
}
