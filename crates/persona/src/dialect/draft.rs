//! A persona on its way from another dialect: the front matter that it would have in ours, with the places of the
//! original.
//!
//! Leaves out reading the dialects, and what the keys mean: the draft is checked by the reader of persona files.

use masque_tree::{Content, Entry, Node, Place, parse_yaml};
use masque_types::persona::Persona;

use crate::{
    file,
    front_matter::{self, Surroundings, fitting, is_name},
    masque_keys,
    notes::Notes,
    section::Section,
    sibling::Sibling,
};

/// What one agent of another program becomes.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) name: String,
    front: Node,
    prompt: String,
    prompt_line: u32,
    /// Keys that have no place in our format, with their values.
    pub(crate) kept: Vec<Entry>,
}

impl Draft {
    /// A draft with a name, which is brought into the form that names have here.
    pub(crate) fn new(name: &str, place: Place, prompt: &str, prompt_line: u32, notes: &mut Notes) -> Self {
        let fitting = fitting(name);
        let mut draft = Self {
            name: fitting.clone(),
            front: Node { place, content: Content::Map(Vec::new()) },
            prompt: prompt.to_owned(),
            prompt_line,
            kept: Vec::new(),
        };
        draft.set("name", Node { place, content: Content::Text(fitting.clone()) });
        if !is_name(name) {
            let message =
                format!("the name `{name}` becomes `{fitting}`: names here are lower-case letters, digits and `-`");
            notes.warning(place, message, "the original stays the title");
            draft.set("masque.display.title", Node { place, content: Content::Text(name.trim().to_owned()) });
        }
        draft
    }

    /// A draft that has a front matter of ours already.
    pub(crate) fn of_ours(name: &str, front: Node, prompt: &str, prompt_line: u32) -> Self {
        Self { name: name.to_owned(), front, prompt: prompt.to_owned(), prompt_line, kept: Vec::new() }
    }

    /// Sets a key by its dotted path.
    pub(crate) fn set(&mut self, path: &str, value: Node) {
        if path.starts_with("masque.") && self.front.get("masque").is_none() {
            put(&mut self.front, "masque.schema", Node::text(masque_keys::SCHEMA));
        }
        put(&mut self.front, path, value);
    }

    /// Sets a key, where there is a value.
    pub(crate) fn set_some(&mut self, path: &str, value: Option<Node>) {
        if let Some(value) = value {
            self.set(path, value);
        }
    }

    /// Adds to the list at a path.
    pub(crate) fn add(&mut self, path: &str, items: Vec<Node>) {
        if items.is_empty() {
            return;
        }
        let mut all = match at(&self.front, path).map(|node| node.content.clone()) {
            Some(Content::List(all)) => all,
            _ => Vec::new(),
        };
        all.extend(items);
        self.set(path, Node::new(Content::List(all)));
    }

    /// Keeps what is left of a dialect's keys.
    pub(crate) fn keep_rest(&mut self, section: Section, notes: &mut Notes) {
        for entry in section.rest() {
            self.keep(entry, notes);
        }
    }

    /// Keeps a key that has no place in our format.
    pub(crate) fn keep(&mut self, entry: Entry, notes: &mut Notes) {
        let message = format!("`{}` has no counterpart; it is kept for the way back and has no effect", entry.key);
        notes.warning(entry.place, message, "do not rely on it");
        self.kept.push(entry);
    }

    /// The text of the persona file.
    pub(crate) fn text(&self) -> String {
        let front = serde_saphyr::to_string(&self.ordered()).unwrap_or_default();
        format!("---\n{}\n---\n{}\n", front.trim_end(), self.prompt.trim())
    }

    /// The front matter in the order in which people read it: what is for Masque only stands last.
    fn ordered(&self) -> Node {
        const FIRST: [&str; 6] = ["name", "description", "tools", "disallowedTools", "skills", "mcpServers"];
        let mut front = self.front.clone();
        if let Content::Map(entries) = &mut front.content {
            let rank = |key: &str| match (FIRST.iter().position(|first| *first == key), key) {
                (Some(at), _) => at,
                (None, "masque") => usize::MAX,
                (None, _) => FIRST.len(),
            };
            entries.sort_by_key(|entry| rank(&entry.key));
        }
        front
    }

    /// The persona, checked as if the draft stood in a file; diagnostics have the places of the original.
    pub(crate) fn check(&self, sibling: &mut Sibling, notes: &mut Notes) -> Option<Persona> {
        let mut around = Surroundings { stem: &self.name, sibling };
        let persona = front_matter::read(self.front.clone(), &self.prompt, self.prompt_line, &mut around, notes)?;
        let text = self.text();
        // What is written has to be what was checked.
        let written = file::split(&text).and_then(|parts| parse_yaml(parts.front, file::LIMITS).ok());
        if written.is_none_or(|written| written.to_json() != self.front.to_json()) {
            notes.error(Place::START, "the front matter cannot be written as YAML", "simplify its texts");
        }
        let digest = front_matter::digest(&self.name, text.as_bytes(), sibling);
        (!notes.has_errors()).then_some(Persona { digest, ..persona })
    }
}

fn at<'a>(node: &'a Node, path: &str) -> Option<&'a Node> {
    path.split('.').try_fold(node, Node::get)
}

fn put(node: &mut Node, path: &str, value: Node) {
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    if !matches!(node.content, Content::Map(_)) {
        node.content = Content::Map(Vec::new());
    }
    let Content::Map(entries) = &mut node.content else { return };
    let index = entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
        let place = value.place;
        let empty = Node { place, content: Content::Map(Vec::new()) };
        entries.push(Entry { key: key.to_owned(), place, value: empty });
        entries.len() - 1
    });
    let Some(entry) = entries.get_mut(index) else { return };
    match rest {
        Some(rest) => put(&mut entry.value, rest, value),
        None => entry.value = value,
    }
}
