//! A mapping that is read key by key: what nobody asked for is reported as unknown.
//!
//! Owns the typed reads with their diagnostics. Leaves out what the keys mean.

use masque_tree::{Content, Entry, Node, Place};

use crate::notes::Notes;

/// The entries of one mapping that were not read yet.
#[derive(Debug)]
pub(crate) struct Section {
    /// Dotted path of the mapping, with a dot at its end; empty at the top.
    prefix: String,
    /// Where the mapping stands.
    pub(crate) place: Place,
    entries: Vec<Entry>,
    asked: Vec<&'static str>,
}

impl Section {
    /// The mapping in `node`; anything else is an error, and nothing (an empty value) is an empty mapping.
    pub(crate) fn of(node: Node, path: &str, notes: &mut Notes) -> Option<Self> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
        let entries = match node.content {
            Content::Map(entries) => entries,
            Content::Null => Vec::new(),
            _ => {
                let what = if path.is_empty() { "the front matter".to_owned() } else { format!("`{path}`") };
                let message = format!("{what} is {}, expected a mapping", node.kind());
                notes.error(node.place, message, "write `key: value` pairs");
                return None;
            }
        };
        Some(Self { prefix, place: node.place, entries, asked: Vec::new() })
    }

    /// The dotted path of a key.
    pub(crate) fn path(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Takes a key out. An empty value counts as absent.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Node> {
        self.take_even_empty(key).filter(|node| node.content != Content::Null)
    }

    /// Takes a key out, also with an empty value.
    pub(crate) fn take_even_empty(&mut self, key: &'static str) -> Option<Node> {
        self.asked.push(key);
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(index).value)
    }

    /// Takes a text.
    pub(crate) fn text(&mut self, key: &'static str, notes: &mut Notes) -> Option<(String, Place)> {
        let node = self.take(key)?;
        let place = node.place;
        text_of(node, &self.path(key), notes).map(|text| (text, place))
    }

    /// Takes a list of texts.
    pub(crate) fn texts(&mut self, key: &'static str, notes: &mut Notes) -> Option<Vec<(String, Place)>> {
        let node = self.take_even_empty(key)?;
        texts_of(node, &self.path(key), notes)
    }

    /// Takes a whole number that is not negative.
    pub(crate) fn whole(&mut self, key: &'static str, notes: &mut Notes) -> Option<u64> {
        let node = self.take(key)?;
        let number = match &node.content {
            Content::Number(number, _) => number.as_u64(),
            _ => None,
        };
        if number.is_none() {
            let message = format!("`{}` is not a whole number of 0 or more", self.path(key));
            notes.error(node.place, message, "write plain digits");
        }
        number
    }

    /// Takes a whole number that fits into 32 bits.
    pub(crate) fn whole_u32(&mut self, key: &'static str, notes: &mut Notes) -> Option<u32> {
        let number = self.whole(key, notes)?;
        u32::try_from(number).ok().or_else(|| {
            let message = format!("`{}` is larger than {}", self.path(key), u32::MAX);
            notes.error(self.place, message, "write a smaller number");
            None
        })
    }

    /// Takes a number with its place.
    pub(crate) fn number(&mut self, key: &'static str, notes: &mut Notes) -> Option<(f64, Place)> {
        let node = self.take(key)?;
        let number = match &node.content {
            Content::Number(number, _) => number.as_f64(),
            _ => None,
        };
        if number.is_none() {
            let message = format!("`{}` is {}, expected a number", self.path(key), node.kind());
            notes.error(node.place, message, format!("write for example `{key}: 0.5`"));
        }
        number.map(|number| (number, node.place))
    }

    /// Takes a mapping.
    pub(crate) fn section(&mut self, key: &'static str, notes: &mut Notes) -> Option<Self> {
        let node = self.take(key)?;
        Self::of(node, &self.path(key), notes)
    }

    /// Takes a boolean.
    pub(crate) fn flag(&mut self, key: &'static str, notes: &mut Notes) -> Option<bool> {
        let node = self.take(key)?;
        if let Content::Bool(value) = node.content {
            return Some(value);
        }
        let message = format!("`{}` is {}, expected `true` or `false`", self.path(key), node.kind());
        notes.error(node.place, message, format!("write `{key}: true` or `{key}: false`"));
        None
    }

    /// Where the value of a key stands; the mapping's own place when it is absent.
    pub(crate) fn place_of(&self, key: &str) -> Place {
        let found = self.entries.iter().find(|entry| entry.key == key);
        found.map_or(self.place, |entry| entry.value.place)
    }

    /// Takes all that is left: for mappings whose keys are names.
    pub(crate) fn rest(self) -> Vec<Entry> {
        self.entries
    }

    /// Takes keys of other programs that mean nothing here.
    pub(crate) fn not_used(&mut self, keys: &[&'static str], notes: &mut Notes) {
        for key in keys {
            if let Some(node) = self.take(key) {
                let message = format!("`{key}` belongs to another program");
                notes.unused(self.path(key), node.place, &node, &message, "do not rely on it");
            }
        }
    }

    /// Refuses what nobody asked for: in a part that restricts, a slip would make a hole.
    pub(crate) fn refuse_rest(self, known: &[&str], notes: &mut Notes) {
        let prefix = self.path("");
        for entry in self.entries {
            let near = nearest(&entry.key, known.iter().copied());
            let hint = near
                .map_or_else(|| format!("known here: {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
            notes.error(entry.place, format!("unknown key `{prefix}{}`: it could be a restriction", entry.key), hint);
        }
    }

    /// Reports what nobody asked for.
    pub(crate) fn finish(self, notes: &mut Notes) {
        for entry in &self.entries {
            let path = format!("{}{}", self.prefix, entry.key);
            let nearest = nearest(&entry.key, self.asked.iter().copied());
            let hint = nearest.map_or_else(
                || "remove it, or check its spelling".to_owned(),
                |known| format!("did you mean `{}{known}`?", self.prefix),
            );
            notes.unknown(path, entry.place, &entry.value, hint);
        }
    }
}

/// The text in a node.
pub(crate) fn text_of(node: Node, path: &str, notes: &mut Notes) -> Option<String> {
    match node.content {
        Content::Text(text) => Some(text),
        _ => {
            let message = format!("`{path}` is {}, expected a text", node.kind());
            notes.error(node.place, message, "put it in quotes if it is meant as a text");
            None
        }
    }
}

/// The texts in a list. An empty value is an empty list.
pub(crate) fn texts_of(node: Node, path: &str, notes: &mut Notes) -> Option<Vec<(String, Place)>> {
    match node.content {
        Content::List(items) => items
            .into_iter()
            .map(|item| {
                let place = item.place;
                text_of(item, path, notes).map(|text| (text, place))
            })
            .collect(),
        Content::Null => Some(Vec::new()),
        _ => {
            let message = format!("`{path}` is {}, expected a list", node.kind());
            notes.error(node.place, message, format!("write `{path}: [first, second]`"));
            None
        }
    }
}

/// The candidate nearest to a word, if one is near enough to be a slip.
pub(crate) fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
