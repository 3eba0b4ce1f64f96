//! Lists of MCP servers that stand for themselves: `.mcp.json`, `.vscode/mcp.json`, `config.toml` of Codex,
//! `settings.json` of Gemini CLI, `opencode.json`, `config.yaml` of goose.
//!
//! Owns reading each as the usual `mcpServers`, and writing a persona's servers as each. Leaves out single entries.

use masque_tree::{Content, Node};
use masque_types::persona::Persona;
use serde::Serialize;

use super::{
    fields::Loss,
    servers::{self, Form},
    source::Source,
    writer::Writer,
};
use crate::{front_matter::slug, mcp, notes::Notes, section::Section};

/// Servers without an agent.
#[derive(Debug, Clone, Serialize)]
pub struct ServerList {
    /// The dialect of the list.
    pub dialect: &'static str,
    /// Their names.
    pub names: Vec<String>,
    /// The list in the usual form, as a file `mcp.json`.
    pub text: String,
}

/// A dialect of lists.
struct List {
    id: &'static str,
    /// The key that the list stands under.
    key: &'static str,
    form: Form,
    extensions: &'static [&'static str],
    /// Whether a list under that key is of this dialect.
    is_this: fn(&Node) -> bool,
}

/// All of them; the first that recognises a list wins.
const LISTS: [List; 6] = [
    List {
        id: "gemini-settings",
        key: "mcpServers",
        form: Form::Gemini,
        extensions: &["json", "jsonc"],
        is_this: |list| any_has(list, &["httpUrl", "includeTools", "excludeTools", "trust"]),
    },
    List { id: "mcp", key: "mcpServers", form: Form::Usual, extensions: &["json", "jsonc"], is_this: |_| true },
    List { id: "vscode", key: "servers", form: Form::VsCode, extensions: &["json", "jsonc"], is_this: |_| true },
    List { id: "opencode-mcp", key: "mcp", form: Form::Opencode, extensions: &["json", "jsonc"], is_this: |_| true },
    List { id: "codex-config", key: "mcp_servers", form: Form::Codex, extensions: &["toml"], is_this: |_| true },
    List { id: "goose-config", key: "extensions", form: Form::Goose, extensions: &["yaml", "yml"], is_this: |_| true },
];

fn any_has(list: &Node, keys: &[&str]) -> bool {
    let Content::Map(entries) = &list.content else { return false };
    entries.iter().any(|entry| keys.iter().any(|key| entry.value.get(key).is_some()))
}

/// The servers of a file that is a list of them; what is wrong is noted.
pub(super) fn read(source: &Source<'_>, notes: &mut Notes) -> Option<ServerList> {
    let tree = source.tree()?;
    let extension = source.extension();
    let list = LISTS.iter().find(|list| {
        list.extensions.contains(&extension.as_str())
            && tree.get(list.key).is_some_and(|node| matches!(node.content, Content::Map(_)) && (list.is_this)(node))
    })?;
    let mut whole = Section::of(tree, "", notes)?;
    let (node, forbidden) = super::usual_servers(list.form, whole.take(list.key)?, list.key, notes);
    let mut node = node?;
    for tool in forbidden {
        let hint = "deny it in a rule of the persona, or list the others under `tools`";
        notes.error(tool.place, "a list of servers cannot forbid single tools", hint);
    }
    if let Content::Map(entries) = &mut node.content {
        // goose has extensions of other kinds in the same list.
        entries.retain(|entry| ["command", "url"].iter().any(|key| entry.value.get(key).is_some()));
        for entry in entries.iter_mut().filter(|_| list.form == Form::Goose) {
            entry.key = slug(&entry.key);
        }
        let servers = mcp::read_all(entries.clone(), notes);
        entries.retain(|entry| servers.contains_key(&entry.key));
    }
    let Content::Map(entries) = &node.content else { return None };
    let names = entries.iter().map(|entry| entry.key.clone()).collect();
    let text = super::json(&Node::map([("mcpServers", Some(node.clone()))]));
    Some(ServerList { dialect: list.id, names, text })
}

/// The dialects of lists, in their order.
pub fn ids() -> impl Iterator<Item = &'static str> {
    LISTS.iter().map(|list| list.id)
}

/// The servers of a persona as a list of a dialect, with what is lost of them. Nothing when there is no such dialect.
#[must_use]
pub fn write(persona: &Persona, id: &str) -> Option<(String, Vec<Loss>)> {
    let list = LISTS.iter().find(|list| list.id == id)?;
    let mut writer = Writer::new(persona, id, &EVERY_FIELD);
    let servers = servers::write_all(list.form, &mut writer).unwrap_or_else(|| Node::new(Content::Map(Vec::new())));
    let tree = Node::map([(list.key, Some(servers))]);
    let text = match list.extensions {
        ["toml", ..] => super::toml(&tree),
        ["yaml", ..] => super::yaml(&tree),
        _ => super::json(&tree),
    };
    Some((text, writer.losses))
}

/// A list says nothing of the persona but its servers, and nobody expects it to.
const EVERY_FIELD: [&str; super::agents::COUNT] = super::agents::EVERYTHING;
