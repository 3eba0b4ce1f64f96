//! A file of another program: its path, its text, and the text as a tree.
//!
//! Leaves out what the keys mean.

use std::path::Path;

use masque_tree::{Node, Order, ParseError, Place, parse_json, parse_toml, parse_yaml};

use crate::{
    file::{self, LIMITS},
    notes::Notes,
    section::Section,
};

/// A file that is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) path: &'a Path,
    pub(crate) text: &'a str,
}

/// The front matter of a Markdown file, and the rest.
pub(crate) struct Markdown<'a> {
    pub(crate) front: Section,
    pub(crate) prompt: &'a str,
    pub(crate) prompt_line: u32,
}

impl<'a> Source<'a> {
    /// The file's name without extension.
    pub(crate) fn stem(&self) -> String {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        stem.strip_suffix(".agent").unwrap_or(&stem).to_owned()
    }

    /// The extension in lower case.
    pub(crate) fn extension(&self) -> String {
        self.path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
    }

    /// Whether a directory of the path has this name.
    pub(crate) fn is_below(&self, directory: &str) -> bool {
        self.path.parent().is_some_and(|parent| parent.components().any(|step| step.as_os_str() == directory))
    }

    fn body(&self) -> &'a str {
        self.text.strip_prefix('\u{feff}').unwrap_or(self.text)
    }

    /// Front matter and prompt; what is wrong is noted.
    pub(crate) fn markdown(&self, notes: &mut Notes) -> Option<Markdown<'a>> {
        let (node, parts) = self.markdown_node(notes)?;
        let front = Section::of(node, "", notes)?;
        Some(Markdown { front, prompt: parts.prompt, prompt_line: parts.prompt_line })
    }

    /// The front matter as it is, and the rest.
    pub(crate) fn markdown_node(&self, notes: &mut Notes) -> Option<(Node, file::Parts<'a>)> {
        let Some(parts) = file::split(self.body()) else {
            let opened = self.body().lines().next().is_some_and(|line| line.trim_end() == "---");
            let message = if opened { "the front matter has no end" } else { "the file has no front matter" };
            notes.error(Place::START, message, "begin it with a line `---`, `name:`, `description:` and a line `---`");
            return None;
        };
        match file::parse_front(parts.front, notes) {
            Ok(node) => Some((node, parts)),
            Err(error) => {
                wrong("YAML", &error, notes);
                None
            }
        }
    }

    /// The file as YAML.
    pub(crate) fn yaml(&self, notes: &mut Notes) -> Option<Node> {
        noted("YAML", parse_yaml(self.body(), LIMITS), notes)
    }

    /// The file as TOML.
    pub(crate) fn toml(&self, notes: &mut Notes) -> Option<Node> {
        noted("TOML", parse_toml(self.body(), Order::Keys), notes)
    }

    /// The file as JSON; comments are allowed, as the programs that write them allow them.
    pub(crate) fn json(&self, notes: &mut Notes) -> Option<Node> {
        let plain = parse_json(self.body(), LIMITS);
        let node = plain.or_else(|error| {
            let without = without_comments(self.body());
            // YAML reads what JSON with comments is without them, commas at the end included.
            if without == self.body() {
                Err(error)
            } else {
                parse_json(&without, LIMITS).or_else(|_| parse_yaml(&without, LIMITS))
            }
        });
        noted("JSON", node, notes)
    }

    /// The tree, whatever the extension says; without a word about what is wrong.
    pub(crate) fn tree(&self) -> Option<Node> {
        let mut quiet = Notes::new("");
        match self.extension().as_str() {
            "md" | "markdown" | "mdc" => self.markdown_node(&mut quiet).map(|(node, _)| node),
            "toml" => self.toml(&mut quiet),
            "json" | "jsonc" => self.json(&mut quiet),
            "yaml" | "yml" => self.yaml(&mut quiet),
            _ => None,
        }
    }
}

fn noted(language: &str, parsed: Result<Node, ParseError>, notes: &mut Notes) -> Option<Node> {
    parsed.map_err(|error| wrong(language, &error, notes)).ok()
}

fn wrong(language: &str, error: &ParseError, notes: &mut Notes) {
    let hint = "check indentation, quotes and brackets at this place";
    notes.error(error.place, format!("this is not {language}: {}", error.message), hint);
}

/// The text with comments as blanks, so that places stay.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    let mut in_text = false;
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('\\', Some(_)) if in_text => {
                out.push(letter);
                out.extend(letters.next());
                continue;
            }
            ('"', _) => in_text = !in_text,
            ('/', Some('/')) if !in_text => {
                while letters.peek().is_some_and(|next| *next != '\n') {
                    letters.next();
                }
                continue;
            }
            ('/', Some('*')) if !in_text => {
                let mut last = ' ';
                for inner in letters.by_ref() {
                    out.push(if inner == '\n' { '\n' } else { ' ' });
                    if last == '*' && inner == '/' {
                        break;
                    }
                    last = inner;
                }
                continue;
            }
            _ => {}
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_with_comments_is_read() {
        let text = "{\n  // why\n  \"a\": \"x // y\", /* z\n */ \"b\": [1, 2,],\n}\n";
        let source = Source { path: Path::new("opencode.jsonc"), text };
        let mut notes = Notes::new("x");
        let node = source.json(&mut notes).unwrap();
        assert_eq!(node.to_json(), serde_json::json!({"a": "x // y", "b": [1, 2]}));
        let broken = Source { path: Path::new("x.json"), text: "{\n\"a\": }" };
        assert!(broken.json(&mut notes).is_none());
        assert_eq!(notes.diagnostics[0].line, Some(2));
    }
}
