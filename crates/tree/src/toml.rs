//! TOML as a tree.

use std::ops::Range;

use serde_json::Number;
use toml::de::{DeTable, DeValue};

use crate::{
    MAX_DEPTH,
    node::{Content, Entry, Node},
    place::{ParseError, Place},
};

/// The order of the entries of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they stand in the file.
    File,
    /// By their keys.
    Keys,
}

/// Parses one TOML document.
///
/// # Errors
/// The text is not TOML, or its values stand too deep in each other.
pub fn parse_toml(text: &str, order: Order) -> Result<Node, ParseError> {
    let places = Places::of(text, order);
    let table = DeTable::parse(text).map_err(|error| {
        let place = error.span().map_or(Place::START, |span| places.at(&span));
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        ParseError { place, message }
    })?;
    let root = table.span();
    places.table(table.get_ref(), &root, 0)
}

/// A text, where its lines begin, and the order of its entries.
struct Places<'a> {
    text: &'a str,
    starts: Vec<usize>,
    order: Order,
}

impl<'a> Places<'a> {
    fn of(text: &'a str, order: Order) -> Self {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after).collect(), order }
    }

    fn at(&self, span: &Range<usize>) -> Place {
        let line = self.starts.partition_point(|start| *start <= span.start);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let column = self.text.get(start..span.start).map_or(0, |before| before.chars().count()) + 1;
        Place::of(line, column)
    }

    fn table(&self, table: &DeTable<'_>, span: &Range<usize>, depth: usize) -> Result<Node, ParseError> {
        let mut entries = Vec::with_capacity(table.len());
        for (key, value) in table {
            let place = self.at(&key.span());
            let value = self.value(value.get_ref(), &value.span(), depth + 1)?;
            entries.push(Entry { key: key.get_ref().to_string(), place, value });
        }
        // The parser sorts by keys.
        if self.order == Order::File {
            entries.sort_by_key(|entry| (entry.place.line, entry.place.column));
        }
        Ok(Node::at(self.at(span), Content::Map(entries)))
    }

    fn value(&self, value: &DeValue<'_>, span: &Range<usize>, depth: usize) -> Result<Node, ParseError> {
        let place = self.at(span);
        if depth > MAX_DEPTH {
            return Err(ParseError { place, message: format!("nested more than {MAX_DEPTH} deep") });
        }
        let content = match value {
            DeValue::String(text) => Content::Text(text.to_string()),
            DeValue::Boolean(value) => Content::Bool(*value),
            DeValue::Datetime(value) => Content::Text(value.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).map_or_else(
                |_| Content::Text(number.as_str().to_owned()),
                |whole| Content::Number(whole.into(), None),
            ),
            DeValue::Float(number) => number.as_str().parse().ok().and_then(Number::from_f64).map_or_else(
                || Content::Text(number.as_str().to_owned()),
                |value| Content::Number(value, Some(number.as_str().to_owned())),
            ),
            DeValue::Array(items) => {
                let items = items.iter().map(|item| self.value(item.get_ref(), &item.span(), depth + 1));
                Content::List(items.collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => return self.table(table, span, depth),
        };
        Ok(Node::at(place, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Node, ParseError> {
        parse_toml(text, Order::File)
    }

    #[test]
    fn values_keep_their_places() {
        let node = parse("b = 0x10\na = [1.5, true]\n\n[t]\nx = '''two\nlines'''\n").unwrap();
        assert_eq!(node.to_json(), serde_json::json!({"b": 16, "a": [1.5, true], "t": {"x": "two\nlines"}}));
        let keys: Vec<_> = node.entries().iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["b", "a", "t"]);
        assert_eq!(node.get("t").unwrap().get("x").unwrap().place, Place { line: 5, column: 5 });
        assert_eq!(parse("a = 1\nb = [\n").unwrap_err().place.line, 2);
        assert!(parse("a = 1\na = 2").is_err());
        assert!(parse(&format!("a = {}1{}", "[".repeat(60), "]".repeat(60))).is_err());
    }
}
