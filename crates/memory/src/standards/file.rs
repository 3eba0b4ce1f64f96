//! The file of a standard: YAML front matter and a Markdown text.
//!
//! A file without front matter is a standard too: its name comes from its path and its title from its first heading.
//! Leaves out where files are, and whether anybody approved one.

use std::collections::BTreeMap;

use masque_types::{diagnostic::Diagnostic, standard::StandardKey};
use serde_json::Value;
use serde_saphyr::Spanned;

/// What the file of a standard says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandardFile {
    /// Its name, which is its path.
    pub key: StandardKey,
    /// Its title, one line.
    pub title: String,
    /// Searchable words.
    pub tags: Vec<String>,
    /// Who proposed it: `persona:architect`.
    pub created_by: Option<String>,
    /// Who approved it: `user:ada`. Anybody can write this; what was approved is known by its digest.
    pub approved_by: Option<String>,
    /// When it was made, RFC 3339.
    pub created_at: Option<String>,
    /// When it was last changed, RFC 3339.
    pub updated_at: Option<String>,
    /// The Markdown text.
    pub content: String,
    /// The line of the file on which the text begins, from 1.
    pub content_line: u32,
}

const KEYS: [&str; 8] = ["domain", "topic", "title", "tags", "created_by", "approved_by", "created_at", "updated_at"];

/// Reads a file. Whatever is wrong with its front matter is a diagnostic with its line, and the text is a standard all the
/// same. `label` is the file's name in diagnostics.
#[must_use]
pub fn read(label: &str, key: &StandardKey, text: &str) -> (StandardFile, Vec<Diagnostic>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut diagnostics = Vec::new();
    let parts = split(text);
    if text.lines().next().is_some_and(is_fence) && parts.front.is_none() {
        let what = "the front matter has no end: the whole file is taken as text";
        diagnostics.push(Diagnostic::warning(label, what).at(1, 1).hint("close it with a line `---`"));
    }
    let mut front = Front::read(label, parts.front.unwrap_or_default(), &mut diagnostics);
    front.check_name(key);
    let title = front.text("title").filter(|title| !title.trim().is_empty());
    let file = StandardFile {
        key: key.clone(),
        title: title.or_else(|| heading(parts.content)).unwrap_or_else(|| titled(&key.topic)),
        tags: front.tags(),
        created_by: front.text("created_by"),
        approved_by: front.text("approved_by"),
        created_at: front.text("created_at"),
        updated_at: front.text("updated_at"),
        content: parts.content.to_owned(),
        content_line: parts.content_line,
    };
    (file, diagnostics)
}

/// The file as text.
#[must_use]
pub fn write(file: &StandardFile) -> String {
    let mut text = String::from("---\n");
    let mut line = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            text.push_str(&format!("{key}: {}\n", quoted(value)));
        }
    };
    line("domain", Some(&file.key.domain));
    line("topic", Some(&file.key.topic));
    line("title", Some(&file.title));
    line("created_by", file.created_by.as_deref());
    line("approved_by", file.approved_by.as_deref());
    line("created_at", file.created_at.as_deref());
    line("updated_at", file.updated_at.as_deref());
    if !file.tags.is_empty() {
        let tags: Vec<String> = file.tags.iter().map(|tag| quoted(tag)).collect();
        text.push_str(&format!("tags: [{}]\n", tags.join(", ")));
    }
    format!("{text}---\n{}\n", file.content.trim_end())
}

/// A text as a YAML scalar. Plain words stand as they are; everything else as a JSON string, which YAML reads too.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/');
    let is_word = text.bytes().all(plain) && text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic());
    let has_meaning =
        ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    if is_word && !has_meaning { text.to_owned() } else { Value::from(text).to_string() }
}

struct Parts<'a> {
    front: Option<&'a str>,
    content: &'a str,
    content_line: u32,
}

fn is_fence(line: &str) -> bool {
    line.trim_end() == "---"
}

fn split(text: &str) -> Parts<'_> {
    let whole = Parts { front: None, content: text, content_line: 1 };
    let Some((first, rest)) = text.split_once('\n') else { return whole };
    if !is_fence(first) {
        return whole;
    }
    let mut offset = 0;
    for (number, line) in (3u32..).zip(rest.split_inclusive('\n')) {
        let after = offset + line.len();
        if is_fence(line) {
            let (front, content) = (rest.get(..offset), rest.get(after..).unwrap_or_default());
            let blank = content.len() - content.trim_start_matches(['\n', '\r']).len();
            let skipped = content.get(..blank).unwrap_or_default().matches('\n').count();
            return Parts {
                front,
                content: content.get(blank..).unwrap_or_default(),
                content_line: number.saturating_add(u32::try_from(skipped).unwrap_or(u32::MAX)),
            };
        }
        offset = after;
    }
    whole
}

/// The front matter, as it is read.
struct Front<'a> {
    label: &'a str,
    values: BTreeMap<String, Spanned<Value>>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl<'a> Front<'a> {
    fn read(label: &'a str, text: &str, diagnostics: &'a mut Vec<Diagnostic>) -> Self {
        let mut front = Self { label, values: BTreeMap::new(), diagnostics };
        if text.trim().is_empty() {
            return front;
        }
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_depth: 8, flow_nesting_limit: 8, max_nodes: 1_000, max_aliases: 0, max_documents: 2,
            },
            strict_booleans: true,
            with_snippet: false,
            emit_comments: false,
        };
        match serde_saphyr::from_str_with_options(text, options) {
            Ok(values) => front.values = values,
            Err(error) => {
                let line = error.location().map_or(1, |location| location.line());
                let message = error.without_snippet().to_string();
                let message = message.lines().next().unwrap_or_default().to_owned();
                front.warn(line, format!("the front matter cannot be read and is left out: {message}"));
            }
        }
        let lines: Vec<(u64, String)> = front
            .values
            .iter()
            .filter(|(key, _)| !KEYS.contains(&key.as_str()))
            .map(|(key, value)| (value.defined.line(), key.clone()))
            .collect();
        for (line, key) in lines {
            front.note_unknown(line, &key);
        }
        front
    }

    /// Keys of other tools are theirs: an approval of a change rewrites the front matter without them, and shows it.
    fn note_unknown(&mut self, line: u64, key: &str) {
        self.warn(line, format!("`{key}` is no key of a standard: an approved change leaves it out"));
    }

    /// Lines of the front matter count from 1 after the fence.
    fn warn(&mut self, line: u64, message: String) {
        let line = u32::try_from(line).unwrap_or(u32::MAX).saturating_add(1);
        self.diagnostics.push(Diagnostic::warning(self.label, message).at(line, 1));
    }

    fn text(&mut self, key: &str) -> Option<String> {
        let value = self.values.get(key)?;
        let line = value.defined.line();
        match &value.value {
            Value::String(text) => Some(text.split_whitespace().collect::<Vec<_>>().join(" ")),
            Value::Number(number) => Some(number.to_string()),
            Value::Null => None,
            _ => {
                self.warn(line, format!("`{key}` has to be a text"));
                None
            }
        }
    }

    fn tags(&mut self) -> Vec<String> {
        let Some(value) = self.values.get("tags") else { return Vec::new() };
        let line = value.defined.line();
        match &value.value {
            Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Value::String(text) => {
                text.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect()
            }
            Value::Null => Vec::new(),
            _ => {
                self.warn(line, "`tags` has to be a list of texts".to_owned());
                Vec::new()
            }
        }
    }

    /// A front matter that says another name than the path.
    fn check_name(&mut self, key: &StandardKey) {
        for (name, expected) in [("domain", &key.domain), ("topic", &key.topic)] {
            let line = self.values.get(name).map_or(1, |value| value.defined.line());
            if let Some(said) = self.text(name).filter(|said| said != expected) {
                self.warn(line, format!("`{name}` says `{said}`, and the file's path says `{expected}`, which counts"));
            }
        }
    }
}

/// The first heading of a text.
fn heading(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| line.starts_with('#'))?;
    let title = line.trim_start_matches('#').trim();
    (!title.is_empty()).then(|| title.to_owned())
}

/// A topic as a title: `api-conventions` is `Api conventions`.
fn titled(topic: &str) -> String {
    let words = topic.replace('-', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::standards::key;

    fn api() -> StandardKey {
        key::parse("architecture/api-conventions").unwrap()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            title in "\\PC{1,40}", tags in proptest::collection::vec("[\\PC&&[^,]]{1,12}", 0..4),
            by in proptest::option::of("[a-z:\"'#]{1,12}"), content in "[a-z#\\-\n :`]{0,120}",
        ) {
            let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assume!(!title.is_empty() && by.as_deref() != Some(""));
            let file = StandardFile {
                key: api(), title, tags, created_by: by.clone(), approved_by: by, created_at: None,
                updated_at: Some("2026-01-02T03:04:05Z".into()), content: content.trim_matches('\n').trim_end().to_owned(),
                content_line: 1,
            };
            let (mut back, diagnostics) = read("x.md", &file.key, &write(&file));
            back.content = back.content.trim_end().to_owned();
            back.content_line = 1;
            prop_assert!(diagnostics.is_empty(), "{:?}", diagnostics);
            prop_assert_eq!(back, file);
        }

        #[test]
        fn any_text_is_a_standard(text in "\\PC{0,200}") {
            let (file, _) = read("x.md", &api(), &text);
            prop_assert!(!file.title.is_empty());
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_the_text_is_kept() {
        let text = "---\ndomain: data\ntags: 7\nowner: me\n---\n\n# Use plural nouns\n\nPaths are plural.\n";
        let (file, diagnostics) = read("a.md", &api(), text);
        let shown: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "a.md:4:1: warning: `owner` is no key of a standard: an approved change leaves it out",
                "a.md:2:1: warning: `domain` says `data`, and the file's path says `architecture`, which counts",
                "a.md:3:1: warning: `tags` has to be a list of texts",
            ]
        );
        assert_eq!((file.title.as_str(), file.content_line), ("Use plural nouns", 7));
        assert_eq!(file.content, "# Use plural nouns\n\nPaths are plural.\n");
        let (_, broken) = read("a.md", &api(), "---\ntitle: [\n---\nText\n");
        assert!(broken[0].to_string().contains("the front matter cannot be read and is left out"), "{broken:?}");
        let (open, endless) = read("a.md", &api(), "---\ntitle: x\n");
        assert!(endless[0].message.contains("has no end") && open.content.contains("title: x"));
    }
}
