//! Gemini CLI: `.gemini/agents/*.md`. It rejects a file with a key that it does not know.

use std::time::Duration;

use masque_tree::{Content, Entry, Node};

use super::{
    Dialect,
    draft::Draft,
    fields::{
        DESCRIPTION, MODEL, NAME, PROMPT, SERVER_EFFECTS, SERVER_FORMS, SERVER_LAZY, SERVER_SECRETS, SERVER_TIMEOUT,
        SERVER_TOOLS, SERVERS, STEPS, TEMPERATURE, TITLE, TOOLS, WALL,
    },
    servers::{self, Form},
    source::Source,
    writer::{Writer, text},
};
use crate::{aliases::GEMINI, notes::Notes, section::Section, tool_names};

pub(super) const GEMINI_CLI: Dialect = Dialect {
    id: "gemini",
    title: "Gemini CLI",
    place: ".gemini/agents/{name}.md",
    extensions: &["md", "markdown"],
    strict: true,
    says: &[
        NAME,
        DESCRIPTION,
        PROMPT,
        TITLE,
        TOOLS,
        MODEL,
        TEMPERATURE,
        STEPS,
        WALL,
        SERVERS,
        SERVER_TOOLS,
        SERVER_TIMEOUT,
        SERVER_EFFECTS,
        SERVER_FORMS,
        SERVER_LAZY,
        SERVER_SECRETS,
    ],
    is_here: |source| source.is_below(".gemini"),
    is_this: |tree| {
        ["kind", "display_name", "mcp_servers", "max_turns", "timeout_mins", "agent_card_url"]
            .iter()
            .any(|key| tree.get(key).is_some())
            || super::claude::tools_of(tree).any(|name| GEMINI.ours(&name).is_some())
    },
    read: |source, notes| super::without_fault(read(source, notes), notes),
    write,
};

fn read(source: &Source<'_>, notes: &mut Notes) -> Option<Draft> {
    let mut file = source.markdown(notes)?;
    let front = &mut file.front;
    if let Some((kind, place)) = front.text("kind", notes).filter(|(kind, _)| kind != "local") {
        let hint = "give the persona that is to reach it an MCP server, or call it as an A2A agent";
        notes.error(place, format!("an agent of kind `{kind}` runs elsewhere and has no prompt to import"), hint);
        return None;
    }
    let (name, place) = front.text("name", notes).unwrap_or_else(|| (source.stem(), front.place));
    let mut draft = Draft::new(&name, place, file.prompt, file.prompt_line, notes);
    draft.set_some("description", front.take("description"));
    let (servers, forbidden) = servers(front, notes);
    tools(front, &mut draft, servers.as_ref(), notes);
    draft.set_some("mcpServers", servers);
    draft.set_some("masque.display.title", front.take("display_name"));
    model(front, &mut draft, notes);
    draft.set_some("masque.model.temperature", front.take("temperature"));
    draft.set_some("masque.budget.steps", front.take("max_turns"));
    if let Some(minutes) = front.take("timeout_mins") {
        let wall = Content::Text(format!("{}m", minutes.to_json()));
        draft.set("masque.budget.wall", Node { place: minutes.place, content: wall });
    }
    draft.add("masque.rules", forbidden);
    draft.keep_rest(file.front, notes);
    Some(draft)
}

/// The servers in the usual form, and rules for the tools that they forbid.
fn servers(front: &mut Section, notes: &mut Notes) -> (Option<Node>, Vec<Node>) {
    let node = front.take("mcp_servers").or_else(|| front.take("mcpServers"));
    let Some(node) = node else { return (None, Vec::new()) };
    super::usual_servers(Form::GeminiAgent, node, "mcp_servers", notes)
}

fn tools(front: &mut Section, draft: &mut Draft, servers: Option<&Node>, notes: &mut Notes) {
    let Some(names) = front.texts("tools", notes) else { return };
    if names.iter().any(|(name, _)| name == "*") {
        return;
    }
    let known: Vec<&str> = match servers.map(|node| &node.content) {
        Some(Content::Map(entries)) => entries.iter().map(|entry| entry.key.as_str()).collect(),
        _ => Vec::new(),
    };
    let ours = names.into_iter().map(|(name, place)| Node { place, content: Content::Text(own_name(&name, &known)) });
    draft.set("tools", Node::new(Content::List(ours.collect())));
}

/// `mcp_<server>_<tool>` and `<server>__<tool>` of a server that the file describes.
fn own_name(name: &str, servers: &[&str]) -> String {
    let of = |server: &&str| {
        let rest = name.strip_prefix("mcp_").and_then(|rest| rest.strip_prefix(server)?.strip_prefix('_'));
        let rest = rest.or_else(|| name.strip_prefix(server)?.strip_prefix("__"))?;
        (!rest.is_empty()).then(|| (server.len(), format!("mcp:{server}/{rest}")))
    };
    let longest = servers.iter().filter_map(of).max();
    longest.map_or_else(|| tool_names::plain(name), |(_, name)| name)
}

fn model(front: &mut Section, draft: &mut Draft, notes: &mut Notes) {
    let Some((name, place)) = front.text("model", notes) else { return };
    let node = |content: Content| Node { place, content };
    if name.starts_with("gemini-") {
        let model = node(Content::Text(format!("gemini/{name}")));
        draft.set("masque.model.prefer", node(Content::List(vec![model])));
    } else if name != "inherit" {
        draft.keep(Entry { key: "model".to_owned(), place, value: node(Content::Text(name)) }, notes);
    }
}

fn write(writer: &mut Writer<'_>) -> String {
    let persona = writer.persona;
    let known: Vec<&String> = persona.mcp_servers.keys().collect();
    let tools = writer.tools(&GEMINI, |server, tool| {
        let name = format!("mcp_{server}_{tool}");
        let read_back = own_name(&name, &known.iter().map(|name| name.as_str()).collect::<Vec<_>>());
        (read_back == format!("mcp:{server}/{tool}")).then_some(name)
    });
    let model = writer.model("Gemini CLI", |model| {
        (model.provider == "gemini" && model.model.starts_with("gemini-")).then(|| model.model.clone())
    });
    let minutes = persona.budget.wall.and_then(|wall| minutes(wall, writer));
    let temperature = persona.model.temperature.and_then(serde_json::Number::from_f64);
    let front = Node::map([
        ("name", text(&persona.name)),
        ("description", text(&persona.description)),
        ("display_name", persona.display.title.as_deref().map(Node::text)),
        ("tools", tools.map(Node::texts)),
        ("model", model.map(Node::text)),
        ("temperature", temperature.map(Node::number)),
        ("max_turns", persona.budget.steps.map(Node::number)),
        ("timeout_mins", minutes.map(Node::number)),
        ("mcp_servers", servers::write_all(Form::GeminiAgent, writer)),
    ]);
    super::markdown(front, &persona.prompt)
}

fn minutes(wall: Duration, writer: &mut Writer<'_>) -> Option<u64> {
    let minutes = wall.as_secs() / 60;
    if minutes == 0 {
        writer.lose(WALL, "Gemini CLI counts whole minutes");
        return None;
    }
    if Duration::from_secs(minutes * 60) != wall {
        writer.lose_at(super::fields::Risk::Behaviour, WALL, "rounded down to whole minutes");
    }
    Some(minutes)
}
