//! Claude Code: `.claude/agents/*.md`. Letta's `.letta/agents/*.md` is the same with a few keys of its own.

use masque_tree::{Content, Entry, Node, Place};
use masque_types::policy::{Mode, ToolSelection, Verdict};

use super::{
    Dialect,
    draft::Draft,
    fields::{
        COLOR, DELEGATE_TO, DENY, DESCRIPTION, MEMORY, MODE, MODEL, NAME, PROMPT, SERVER_EFFECTS, SERVER_FORMS,
        SERVER_LAZY, SERVER_SECRETS, SERVER_TIMEOUT, SERVER_TOOLS, SERVERS, SKILLS, STEPS, TOOLS,
    },
    servers::{self, Form},
    source::Source,
    writer::{Writer, text},
};
use crate::{
    aliases::CLAUDE,
    display_keys, foreign_keys,
    front_matter::split_commas,
    notes::Notes,
    section::{Section, texts_of},
    tool_names,
};

const SAYS: &[&str] = &[
    NAME,
    DESCRIPTION,
    PROMPT,
    COLOR,
    TOOLS,
    DENY,
    MODE,
    MODEL,
    SERVERS,
    SKILLS,
    STEPS,
    MEMORY,
    DELEGATE_TO,
    SERVER_TOOLS,
    SERVER_EFFECTS,
    SERVER_TIMEOUT,
    SERVER_FORMS,
    SERVER_LAZY,
    SERVER_SECRETS,
];

pub(super) const CLAUDE_CODE: Dialect = Dialect {
    id: "claude",
    title: "Claude Code",
    place: ".claude/agents/{name}.md",
    extensions: &["md", "markdown"],
    strict: false,
    says: SAYS,
    is_here: |source| source.is_below(".claude"),
    is_this: |tree| {
        ["disallowedTools", "permissionMode", "maxTurns", "initialPrompt", "omitClaudeMd"]
            .iter()
            .any(|key| tree.get(key).is_some())
            || matches!(tree.get("tools"), Some(Node { content: Content::Text(_), .. }))
            || tools_of(tree).any(|name| CLAUDE.ours(&name).is_some() || name.starts_with("mcp__"))
    },
    read: |source, notes| super::without_fault(read(source, notes), notes),
    write: |writer| {
        let memory = memory_out(writer);
        write(writer, ("memory", memory))
    },
};

pub(super) const LETTA: Dialect = Dialect {
    id: "letta",
    title: "Letta Code",
    place: ".letta/agents/{name}.md",
    extensions: &["md", "markdown"],
    strict: false,
    says: SAYS,
    is_here: |source| source.is_below(".letta"),
    is_this: |tree| tree.get("memoryBlocks").is_some(),
    read: |source, notes| super::without_fault(read(source, notes), notes),
    write: write_letta,
};

/// The names under `tools`, in a list or between commas.
pub(super) fn tools_of(tree: &Node) -> impl Iterator<Item = String> + use<> {
    let names: Vec<String> = match tree.get("tools").map(|node| &node.content) {
        Some(Content::Text(names)) => split_commas(names).collect(),
        Some(Content::List(items)) => items.iter().filter_map(Node::as_text).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    names.into_iter()
}

fn read(source: &Source<'_>, notes: &mut Notes) -> Option<Draft> {
    let mut file = source.markdown(notes)?;
    let (name, place) = file.front.text("name", notes).unwrap_or_else(|| (source.stem(), file.front.place));
    let mut draft = Draft::new(&name, place, file.prompt, file.prompt_line, notes);
    draft.set_some("description", file.front.take("description"));
    tools(&mut file.front, &mut draft, notes);
    if let Some(denied) = file.front.take("disallowedTools") {
        let names = named(denied, "disallowedTools", notes);
        draft.set("disallowedTools", mapped(names));
    }
    draft.set_some("mcpServers", file.front.take_even_empty("mcpServers").map(usual_servers));
    draft.set_some("skills", file.front.take("skills"));
    if let Some((color, place)) = file.front.text("color", notes) {
        let node = Node { place, content: Content::Text(color.clone()) };
        match display_keys::color(&color) {
            Some(hex) => draft.set("masque.display.color", Node { place, content: Content::Text(hex) }),
            None => draft.kept.push(Entry { key: "color".to_owned(), place, value: node }),
        }
    }
    model(&mut file.front, &mut draft, notes);
    if let Some((mode, place)) = file.front.text("permissionMode", notes)
        && let Some(mode) = foreign_keys::claude_mode(&mode, place, notes).filter(|mode| *mode != Mode::Default)
    {
        draft.set("masque.mode", Node { place, content: Content::Text(mode.name().to_owned()) });
    }
    draft.set_some("masque.budget.steps", file.front.take("maxTurns"));
    memory(&mut file.front, &mut draft);
    draft.keep_rest(file.front, notes);
    Some(draft)
}

/// Items of a list may be servers; `mcp.json` does not come along, so names stand for nothing.
fn usual_servers(node: Node) -> Node {
    let Content::Map(entries) = node.content else { return node };
    let entries = entries.into_iter().map(|mut entry| {
        entry.value = servers::read(Form::Usual, entry.value).0;
        entry
    });
    Node { place: node.place, content: Content::Map(entries.collect()) }
}

fn named(node: Node, key: &str, notes: &mut Notes) -> Vec<(String, Place)> {
    let place = node.place;
    match node.content {
        Content::Text(names) => split_commas(&names).map(|name| (name, place)).collect(),
        content => texts_of(Node { place, content }, key, notes).unwrap_or_default(),
    }
}

fn mapped(names: Vec<(String, Place)>) -> Node {
    let node = |(name, place): (String, Place)| Node { place, content: Content::Text(tool_names::plain(&name)) };
    Node::new(Content::List(names.into_iter().map(node).collect()))
}

/// `tools`; an entry `Agent(a, b)` says whom the agent may call.
fn tools(front: &mut Section, draft: &mut Draft, notes: &mut Notes) {
    let Some(node) = front.take_even_empty("tools") else { return };
    let names = named(node, "tools", notes);
    if names.iter().any(|(name, _)| name == "*") {
        return;
    }
    let mut ours = Vec::new();
    for (name, place) in names {
        let callees =
            name.strip_prefix("Agent(").or_else(|| name.strip_prefix("Task(")).and_then(|rest| rest.strip_suffix(')'));
        match callees {
            Some(callees) => {
                ours.push(("agent.call".to_owned(), place));
                let callee = |name: String| Node { place, content: Content::Text(name) };
                draft.add("masque.delegate.to", split_commas(callees).map(callee).collect());
            }
            None => ours.push((name, place)),
        }
    }
    draft.set("tools", mapped(ours));
}

fn model(front: &mut Section, draft: &mut Draft, notes: &mut Notes) {
    let Some((name, place)) = front.text("model", notes) else { return };
    let whole = if name.contains('/') { Some(name.clone()) } else { None };
    let whole = whole.or_else(|| name.starts_with("claude-").then(|| format!("anthropic/{name}")));
    match whole {
        Some(model) => {
            let model = Node { place, content: Content::Text(model) };
            draft.set("masque.model.prefer", Node { place, content: Content::List(vec![model]) });
        }
        None if name == "inherit" => {}
        None => {
            let value = Node { place, content: Content::Text(name) };
            draft.keep(Entry { key: "model".to_owned(), place, value }, notes);
        }
    }
}

fn memory(front: &mut Section, draft: &mut Draft) {
    let scope = match front.take("memory") {
        Some(node) => match node.as_text() {
            Some("project") => Some("project"),
            Some(_) => Some("private"),
            None => None,
        },
        None => None,
    };
    // `memoryBlocks` of Letta: whether the agent has a memory at all; which blocks has no counterpart.
    let blocks = front.place_of("memoryBlocks");
    let has_blocks = front.take("memoryBlocks");
    if let Some(node) = has_blocks {
        if node.as_text() == Some("all") {
            draft.set("masque.memory.scopes", Node::texts(["private"]));
        } else {
            draft.kept.push(Entry { key: "memoryBlocks".to_owned(), place: blocks, value: node });
        }
    }
    draft.set_some("masque.memory.scopes", scope.map(|scope| Node::texts([scope])));
}

fn write_letta(writer: &mut Writer<'_>) -> String {
    let memory = &writer.persona.memory;
    let all = memory.scopes == ["private"];
    if (!all && !memory.scopes.is_empty()) || memory.inject.is_some() {
        writer.lose(MEMORY, "Letta has the memory of the agent itself and no number of entries");
    }
    write(writer, ("memoryBlocks", all.then(|| Node::text("all"))))
}

fn write(writer: &mut Writer<'_>, memory: (&'static str, Option<Node>)) -> String {
    let persona = writer.persona;
    let tools = tools_out(writer);
    let model = writer.model("Claude Code", |model| {
        (model.provider == "anthropic" && model.model.starts_with("claude-")).then(|| model.model.clone())
    });
    let color = persona.display.color.as_deref().and_then(|color| {
        let name = display_keys::color_name(color);
        if name.is_none() {
            writer.lose(COLOR, format!("Claude Code has no name for {color}"));
        }
        name
    });
    let mode = match persona.mode {
        Mode::Default => None,
        Mode::Plan => Some("plan"),
        Mode::AcceptEdits => Some("acceptEdits"),
        Mode::Auto => Some("auto"),
    };
    let entries = [
        ("name", text(&persona.name)),
        ("description", text(&persona.description)),
        ("tools", tools.map(|tools| Node::text(tools.join(", ")))),
        ("disallowedTools", denied_out(writer)),
        ("model", model.map(Node::text)),
        ("permissionMode", mode.map(Node::text)),
        ("maxTurns", persona.budget.steps.map(Node::number)),
        ("skills", skills_out(writer)),
        ("color", color.map(Node::text)),
        ("mcpServers", servers::write_all(Form::Usual, writer)),
        memory,
    ];
    super::markdown(Node::map(entries), &persona.prompt)
}

fn server_tool(server: &str, tool: &str) -> Option<String> {
    let plain = !server.contains("__") && !server.contains('*');
    match (plain, tool) {
        (false, _) => None,
        (true, "*") => Some(format!("mcp__{server}")),
        (true, tool) => Some(format!("mcp__{server}__{tool}")),
    }
}

fn tools_out(writer: &mut Writer<'_>) -> Option<Vec<String>> {
    let to = &writer.persona.delegate.to;
    let may_call =
        matches!(&writer.persona.tools, ToolSelection::Only(names) if names.iter().any(|n| n == "agent.call"));
    if !to.is_empty() && !may_call {
        writer.lose(DELEGATE_TO, "Claude Code says it beside the tool `Agent`, which is not listed");
    }
    let tools = writer.tools(&CLAUDE, server_tool)?;
    let callees = format!("Agent({})", to.join(", "));
    let with_callees = |name: String| if name == "Agent" && !to.is_empty() { callees.clone() } else { name };
    Some(tools.into_iter().map(with_callees).collect())
}

fn denied_out(writer: &mut Writer<'_>) -> Option<Node> {
    let rules = writer.whole_tool_rules(Verdict::Deny, DENY);
    let mut names = Vec::new();
    for rule in rules {
        let theirs = match rule.tool.strip_prefix("mcp:").and_then(|rest| rest.split_once('/')) {
            Some((server, tool)) => server_tool(server, tool),
            None => CLAUDE.theirs(&rule.tool).map(str::to_owned),
        };
        match theirs {
            Some(name) => names.push(name),
            None => writer.lose(DENY, format!("Claude Code has no name for it: {}", rule.describe())),
        }
    }
    (!names.is_empty()).then(|| Node::text(names.join(", ")))
}

fn skills_out(writer: &mut Writer<'_>) -> Option<Node> {
    if writer.persona.skills.is_empty() {
        return None;
    }
    writer.lose(SKILLS, "only their names are written: copy the directories of the skills as well");
    Some(Node::texts(writer.persona.skills.iter().map(|skill| skill.name.clone())))
}

fn memory_out(writer: &mut Writer<'_>) -> Option<Node> {
    let memory = &writer.persona.memory;
    let word = match memory.scopes.as_slice() {
        [] => None,
        [scope] if scope == "project" => Some("project"),
        [scope] if scope == "private" => Some("user"),
        _ => None,
    };
    if (word.is_none() && !memory.scopes.is_empty()) || memory.inject.is_some() {
        writer.lose(MEMORY, "Claude Code has one memory per agent and no number of entries");
    }
    word.map(Node::text)
}
