//! `${…}` in the texts of a manifest.
//!
//! `${name}`, `${name:-default}`, `${env:NAME}`, and `$$` for one `$`. A `$` before anything else stays as it is, so that
//! lines for the shell may use the shell's own variables.

use std::collections::BTreeMap;

use super::{
    Variables,
    node::{Node, kind},
    notes::{Notes, suggestion},
};

/// Names and their values.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope<'a> {
    environment: Option<&'a BTreeMap<String, String>>,
    names: BTreeMap<String, String>,
}

/// Why a text cannot be expanded, and what to do.
pub(super) struct Unexpanded {
    pub(super) message: String,
    pub(super) hint: String,
}

/// How deep a default may stand in a default.
const MAX_DEPTH: usize = 8;

impl<'a> Scope<'a> {
    /// What was given by hand, and the environment.
    pub(super) fn new(variables: &'a Variables) -> Self {
        Self { environment: Some(&variables.environment), names: variables.set.clone() }
    }

    /// Adds a name; one that is there keeps its value.
    pub(super) fn add(&mut self, name: &str, value: impl Into<String>) {
        self.names.entry(name.to_owned()).or_insert_with(|| value.into());
    }

    /// The value of a name.
    fn get(&self, name: &str) -> Option<&str> {
        match name.strip_prefix("env:") {
            Some(name) => self.environment?.get(name).map(String::as_str),
            None => self.names.get(name).map(String::as_str),
        }
    }

    /// Puts values in for names.
    pub(super) fn expand(&self, text: &str) -> Result<String, Unexpanded> {
        self.expand_below(text, 0)
    }

    fn expand_below(&self, text: &str, depth: usize) -> Result<String, Unexpanded> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, after) = rest.split_at(at);
            out.push_str(before);
            if let Some(after) = after.strip_prefix("$$") {
                out.push('$');
                rest = after;
            } else if let Some(after) = after.strip_prefix("${") {
                let end = closing(after).ok_or_else(|| Unexpanded {
                    message: "`${` is not closed".to_owned(),
                    hint: "write `${name}`, or `$${` for the two characters".to_owned(),
                })?;
                out.push_str(&self.value(after.get(..end).unwrap_or_default(), depth)?);
                rest = after.get(end + 1..).unwrap_or_default();
            } else {
                out.push('$');
                rest = after.get(1..).unwrap_or_default();
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(&self, inside: &str, depth: usize) -> Result<String, Unexpanded> {
        let (name, default) = inside.split_once(":-").map_or((inside, None), |(name, text)| (name, Some(text)));
        let name = name.trim();
        if !is_name(name) {
            let message = format!("`${{{inside}}}` is no variable");
            let hint = "write `${name}` or `${name:-default}`; for the shell write `$${…}`".to_owned();
            return Err(Unexpanded { message, hint });
        }
        match (self.get(name), default) {
            (Some(value), None) => Ok(value.to_owned()),
            (Some(value), Some(_)) if !value.is_empty() => Ok(value.to_owned()),
            (_, Some(default)) if depth < MAX_DEPTH => self.expand_below(default, depth + 1),
            _ => Err(self.unknown(name)),
        }
    }

    fn unknown(&self, name: &str) -> Unexpanded {
        let message = match name.strip_prefix("env:") {
            Some(name) => format!("the environment has no variable `{name}`"),
            None => format!("unknown variable `{name}`"),
        };
        let hint = match name.strip_prefix("env:") {
            Some(name) => format!("set it, or write `${{env:{name}:-default}}`"),
            None => suggestion(name, self.names.keys().map(String::as_str)),
        };
        Unexpanded { message, hint }
    }

    /// Puts values in everywhere in a tree. What cannot be expanded is told and stays as it is.
    pub(super) fn expand_tree(&self, node: &Node, notes: &mut Notes) -> Node {
        node.with_texts(&mut |place, text| {
            self.expand(text).unwrap_or_else(|fault| {
                notes.push(place.error(fault.message).hint(fault.hint));
                text.to_owned()
            })
        })
    }

    /// Adds the entries of `[variables]`, which may use each other.
    pub(super) fn define(&mut self, table: &Node, notes: &mut Notes) {
        let mut open: Vec<(&str, String, &Node)> = Vec::new();
        for entry in table.entries() {
            match entry.value.written() {
                _ if !is_name(&entry.key) || entry.key.contains([':', '.']) => {
                    let message = format!("`{}` cannot be the name of a variable", entry.key);
                    notes.push(entry.place.error(message).hint("use letters, digits, `_` and `-`"));
                }
                Some(text) => open.push((&entry.key, text, &entry.value)),
                None => {
                    let message = format!("the variable `{}` is {}, expected a text", entry.key, kind(&entry.value));
                    notes.push(entry.value.place.error(message));
                }
            }
        }
        // Each round defines what uses only names that are defined; what is left uses itself or an unknown name.
        loop {
            let before = open.len();
            let still: Vec<&str> = open.iter().map(|(name, ..)| *name).collect();
            let uses = |text: &str, name: &str| ["}", ":-"].iter().any(|end| text.contains(&format!("${{{name}{end}")));
            let waits = |text: &str| still.iter().any(|name| uses(text, name));
            let (later, now): (Vec<_>, Vec<_>) = open.into_iter().partition(|(_, text, _)| waits(text));
            for (name, text, node) in now {
                let value = self.expand(&text).unwrap_or_else(|fault| {
                    notes.push(node.place.error(fault.message).hint(fault.hint));
                    text
                });
                self.add(name, value);
            }
            open = later;
            if open.is_empty() || open.len() == before {
                break;
            }
        }
        for (name, text, node) in open {
            let message = format!("the variable `{name}` is made of itself, or of others that are");
            notes.push(node.place.error(message).hint("give one of them a plain value"));
            self.add(name, text);
        }
    }
}

/// Where the brace is that closes what was opened before this text.
pub(super) fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-.:".contains(letter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scope(variables: &Variables) -> Scope<'_> {
        let mut scope = Scope::new(variables);
        scope.add("name", "x");
        scope.add("given", "from the file");
        scope
    }

    fn variables() -> Variables {
        let map = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        Variables { environment: map("HOME", "/root"), set: map("given", "by hand") }
    }

    #[test]
    fn names_get_their_values() {
        let variables = variables();
        let expand = |text: &str| scope(&variables).expand(text).unwrap_or_else(|fault| fault.message);
        assert_eq!(expand("a ${name} b"), "a x b");
        assert_eq!(expand("${given}"), "by hand");
        assert_eq!(expand("${none:-d}/${none:-${name}}"), "d/x");
        assert_eq!(expand("${env:HOME} ${env:NONE:-no}"), "/root no");
        assert_eq!(expand("$$ $HOME $${x} 5$"), "$ $HOME ${x} 5$");
        assert_eq!(expand("${nmae}"), "unknown variable `nmae`");
        assert_eq!(expand("${x%%y}"), "`${x%%y}` is no variable");
        assert_eq!(expand("${name"), "`${` is not closed");
    }

    proptest! {
        #[test]
        fn never_panics(text in "[${}a:äé-]{0,40}") {
            let variables = variables();
            let _ = scope(&variables).expand(&text);
        }
    }
}
