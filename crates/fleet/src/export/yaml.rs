//! [`Yaml`]: values written so that every YAML parser, of version 1.1 or 1.2, reads them as they were meant.

use std::fmt::Write as _;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Yaml {
    Null,
    Text(String),
    Number(i64),
    Bool(bool),
    List(Vec<Yaml>),
    /// In this order.
    Map(Vec<(String, Yaml)>),
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Yaml>> From<Vec<T>> for Yaml {
    fn from(items: Vec<T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// A mapping that is built entry by entry; empty values are left out.
#[derive(Debug, Default)]
pub(super) struct Map(Vec<(String, Yaml)>);

impl Map {
    pub(super) fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub(super) fn with(mut self, key: impl Into<String>, value: impl Into<Yaml>) -> Self {
        let value = value.into();
        let empty = match &value {
            Yaml::List(items) => items.is_empty(),
            Yaml::Map(entries) => entries.is_empty(),
            Yaml::Null | Yaml::Text(_) | Yaml::Number(_) | Yaml::Bool(_) => false,
        };
        if !empty {
            self.0.push((key.into(), value));
        }
        self
    }

    /// An entry that stays when it is empty.
    #[must_use]
    pub(super) fn with_even_empty(mut self, key: impl Into<String>, value: impl Into<Yaml>) -> Self {
        self.0.push((key.into(), value.into()));
        self
    }

    #[must_use]
    pub(super) fn with_some(self, key: impl Into<String>, value: Option<impl Into<Yaml>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }
}

impl From<Map> for Yaml {
    fn from(map: Map) -> Self {
        Self::Map(map.0)
    }
}

impl Yaml {
    /// A document, with a line break at its end.
    pub(super) fn document(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0, true);
        text
    }

    /// Every text in it, keys excepted, changed.
    #[must_use]
    pub(super) fn map_texts(self, change: &impl Fn(&str) -> String) -> Self {
        match self {
            Self::Text(text) => Self::Text(change(&text)),
            Self::List(items) => Self::List(items.into_iter().map(|item| item.map_texts(change)).collect()),
            Self::Map(entries) => {
                Self::Map(entries.into_iter().map(|(key, value)| (key, value.map_texts(change))).collect())
            }
            other => other,
        }
    }

    /// Writes the value; `fresh` says that the line is still empty but for its indentation.
    fn write(&self, out: &mut String, indent: usize, fresh: bool) {
        match self {
            Self::Null => ended(out, "null"),
            Self::Text(text) => ended(out, &scalar(text)),
            Self::Number(number) => ended(out, &number.to_string()),
            Self::Bool(value) => ended(out, if *value { "true" } else { "false" }),
            Self::List(items) if items.is_empty() => ended(out, "[]"),
            Self::Map(entries) if entries.is_empty() => ended(out, "{}"),
            Self::List(items) => {
                for (place, item) in items.iter().enumerate() {
                    begin(out, indent, fresh && place == 0);
                    out.push_str("- ");
                    item.write(out, indent + 2, true);
                }
            }
            Self::Map(entries) => {
                for (place, (key, value)) in entries.iter().enumerate() {
                    begin(out, indent, fresh && place == 0);
                    out.push_str(&scalar(key));
                    out.push(':');
                    let nested = match value {
                        Self::List(items) => !items.is_empty(),
                        Self::Map(entries) => !entries.is_empty(),
                        Self::Null | Self::Text(_) | Self::Number(_) | Self::Bool(_) => false,
                    };
                    out.push(if nested { '\n' } else { ' ' });
                    value.write(out, indent + 2, false);
                }
            }
        }
    }
}

fn ended(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn begin(out: &mut String, indent: usize, fresh: bool) {
    if !fresh {
        let _ = write!(out, "{:indent$}", "");
    }
}

/// A text as it is where nobody could take it for something else, otherwise in double quotes.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 11] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"];
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
    let starts = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_' || first == '/');
    // A key of more than 1024 characters needs quotes or more.
    let short = text.len() < 1000;
    if starts && short && text.chars().all(plain) && !WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    quoted(text)
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(letter),
            // Control characters, separators of lines, and what the standard does not call printable.
            '\0'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            other if u32::from(other) > 0xffff => {
                let _ = write!(out, "\\U{:08x}", u32::from(other));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::Yaml;

    fn json(yaml: &Yaml) -> Value {
        match yaml {
            Yaml::Null => Value::Null,
            Yaml::Text(text) => text.clone().into(),
            Yaml::Number(number) => (*number).into(),
            Yaml::Bool(value) => (*value).into(),
            Yaml::List(items) => items.iter().map(json).collect(),
            Yaml::Map(entries) => entries.iter().map(|(key, value)| (key.clone(), json(value))).collect(),
        }
    }

    fn any_yaml() -> impl Strategy<Value = Yaml> {
        let text =
            prop_oneof![any::<String>(), "[a-zA-Z0-9_.:~#&*!|>%@` -]{0,12}", "[yYnNoOfFtTrRuUeE0-9.xe_:+-]{0,6}"];
        let leaf = prop_oneof![
            4 => text.clone().prop_map(Yaml::Text),
            1 => any::<i64>().prop_map(Yaml::Number),
            1 => any::<bool>().prop_map(Yaml::Bool),
            1 => Just(Yaml::Null),
        ];
        leaf.prop_recursive(4, 24, 5, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Yaml::List),
                proptest::collection::btree_map(text.clone(), inner, 0..5)
                    .prop_map(|entries| Yaml::Map(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_parser_reads_what_was_meant(value in any_yaml()) {
            let text = value.document();
            let read: Value = serde_saphyr::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
            prop_assert_eq!(read, json(&value), "{}", text);
        }
    }
}
