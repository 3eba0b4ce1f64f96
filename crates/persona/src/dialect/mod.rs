//! Agent files of other programs: reading them as personas, and writing personas as them.
//!
//! Owns the list of dialects, telling them apart, import and export with their losses. One file per dialect. Leaves out
//! which files there are and where results go.

mod a2a;
mod agents;
mod claude;
mod codex;
mod draft;
mod export;
mod fields;
mod gemini;
mod goose;
mod import;
mod lists;
mod opencode;
#[cfg(test)]
mod round_trip;
mod servers;
mod source;
mod writer;

use masque_tree::{Content, Node};
use serde::Serialize;

use self::{draft::Draft, servers::Form, source::Source, writer::Writer};
use crate::{notes::Notes, section::Section};

pub use self::{
    export::{Beside, Export, export},
    fields::{Loss, Risk},
    import::{Found, Import, Imported, OriginRecord, import},
    lists::{ServerList, ids as server_lists, write as export_servers},
};

/// A form of agent files.
pub struct Dialect {
    /// The name used in commands.
    pub id: &'static str,
    /// The program, for people.
    pub title: &'static str,
    /// Where its files are, with `{name}` for the agent's name.
    pub place: &'static str,
    /// Whether it rejects or misuses keys that it does not know: such a target gets none.
    pub strict: bool,
    extensions: &'static [&'static str],
    /// The fields that it can say, at least in part. What is lost of them, the writer tells.
    says: &'static [&'static str],
    /// Whether a file stands where this dialect's files stand.
    is_here: fn(&Source<'_>) -> bool,
    /// Whether a tree has keys that only this dialect has.
    is_this: fn(&Node) -> bool,
    read: fn(&Source<'_>, &mut Notes) -> Vec<Draft>,
    write: fn(&mut Writer<'_>) -> String,
}

/// All dialects. Where content alone decides, the first that recognises it wins.
pub static DIALECTS: [&Dialect; 9] = [
    &agents::AGENTS,
    &claude::LETTA,
    &opencode::MARKDOWN,
    &claude::CLAUDE_CODE,
    &gemini::GEMINI_CLI,
    &codex::CODEX,
    &opencode::JSON,
    &goose::RECIPE,
    &a2a::CARD,
];

impl Dialect {
    /// The dialect of that name.
    #[must_use]
    pub fn find(id: &str) -> Option<&'static Self> {
        DIALECTS.iter().copied().find(|dialect| dialect.id == id)
    }

    /// Where a file of the agent would stand.
    #[must_use]
    pub fn place_of(&self, name: &str) -> String {
        self.place.replace("{name}", name)
    }

    /// What becomes of each field of a persona, for the table in the book: the field, and what losing it means where this
    /// dialect has no place for it at all.
    #[must_use]
    pub fn coverage(&self) -> Vec<(&'static str, bool)> {
        fields::all().map(|field| (field.name, self.says.contains(&field.name))).collect()
    }

    fn reads(&self, extension: &str) -> bool {
        self.extensions.contains(&extension)
    }
}

impl std::fmt::Debug for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Dialect").field(&self.id).finish()
    }
}

impl PartialEq for Dialect {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Serialize for Dialect {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id)
    }
}

/// The dialect of an agent file: by where it stands, then by what is in it.
fn detect(source: &Source<'_>) -> Option<&'static Dialect> {
    let extension = source.extension();
    let candidates = || DIALECTS.iter().copied().filter(|dialect| dialect.reads(&extension));
    let is_markdown = agents::AGENTS.reads(&extension);
    if is_markdown && let Some(here) = candidates().find(|dialect| (dialect.is_here)(source)) {
        return Some(here);
    }
    let tree = source.tree();
    let by_content = tree.as_ref().and_then(|tree| candidates().find(|dialect| (dialect.is_this)(tree)));
    // A file that cannot be read is told by its place alone; one of ours may have any keys.
    by_content
        .or_else(|| candidates().find(|dialect| (dialect.is_here)(source)))
        .or_else(|| is_markdown.then_some(&agents::AGENTS))
}

/// The one draft of a file, unless something of it could not be read: that could have been a restriction.
fn without_fault(draft: Option<Draft>, notes: &Notes) -> Vec<Draft> {
    draft.filter(|_| !notes.has_errors()).into_iter().collect()
}

/// A mapping of servers in the usual form, and rules for the tools that they forbid.
fn usual_servers(form: Form, node: Node, path: &str, notes: &mut Notes) -> (Option<Node>, Vec<Node>) {
    let place = node.place;
    let Some(section) = Section::of(node, path, notes) else { return (None, Vec::new()) };
    let mut rules = Vec::new();
    let entries = section.rest().into_iter().map(|mut entry| {
        let (server, forbidden) = servers::read(form, entry.value);
        rules.extend(denials(&entry.key, forbidden));
        entry.value = server;
        entry
    });
    let servers = Node { place, content: Content::Map(entries.collect()) };
    (Some(servers), rules)
}

/// Rules that deny tools of a server.
fn denials(server: &str, tools: Vec<Node>) -> Vec<Node> {
    let rule = |tool: Node| {
        let name = format!("mcp:{server}/{}", tool.as_text()?);
        let mut rule = Node::map([("tool", Some(Node::text(name))), ("effect", Some(Node::text("deny")))]);
        rule.place = tool.place;
        Some(rule)
    };
    tools.into_iter().filter_map(rule).collect()
}

// A tree of texts, numbers, lists and mappings with texts as keys can be written in all four languages.

fn markdown(front: Node, prompt: &str) -> String {
    format!("---\n{}---\n\n{}\n", yaml(&front), prompt.trim())
}

fn yaml(node: &Node) -> String {
    let text = serde_saphyr::to_string(node).unwrap_or_default();
    format!("{}\n", text.trim_end())
}

fn toml(node: &Node) -> String {
    toml::to_string_pretty(node).unwrap_or_default()
}

fn json(node: &Node) -> String {
    serde_json::to_string_pretty(node).map(|text| text + "\n").unwrap_or_default()
}
