//! opencode: agents in `.opencode/agents/*.md`, and in `opencode.json`. Keys that it does not know go to the model's
//! provider, so it gets none.

use masque_tree::{Content, Entry, Node, Place};
use masque_types::{
    persona::Persona,
    policy::{Rule, ToolSelection, Verdict},
};

use super::{
    Dialect,
    draft::Draft,
    fields::{
        ALLOW, ASK, COLOR, DENY, DESCRIPTION, MODEL, NAME, PROMPT, SERVER_EFFECTS, SERVER_FORMS, SERVER_LAZY,
        SERVER_SECRETS, SERVER_TIMEOUT, SERVER_TOOLS, SERVERS, STEPS, TEMPERATURE, TOOLS,
    },
    servers::{self, Form},
    source::Source,
    writer::{Writer, text},
};
use crate::{aliases::OPENCODE, display_keys, notes::Notes, section::Section, tool_names};

/// Keys of `permission`, and the tools that each is about.
const PERMISSIONS: [(&str, &[&str]); 10] = [
    ("read", &["fs.read"]),
    ("edit", &["fs.edit", "fs.write"]),
    ("list", &["fs.list"]),
    ("glob", &["fs.glob"]),
    ("grep", &["fs.search"]),
    ("bash", &["shell.exec"]),
    ("webfetch", &["web.fetch"]),
    ("question", &["human.ask"]),
    ("task", &["agent.call"]),
    ("skill", &["skill.use"]),
];

pub(super) const MARKDOWN: Dialect = Dialect {
    id: "opencode",
    title: "opencode",
    place: ".opencode/agents/{name}.md",
    extensions: &["md", "markdown"],
    strict: true,
    says: &[NAME, DESCRIPTION, PROMPT, COLOR, TOOLS, DENY, ASK, ALLOW, MODEL, TEMPERATURE, STEPS],
    is_here: |source| source.is_below(".opencode"),
    is_this: |tree| {
        matches!(tree.get("mode").and_then(Node::as_text), Some("primary" | "subagent" | "all"))
            || ["permission", "maxSteps", "steps", "top_p"].iter().any(|key| tree.get(key).is_some())
            || matches!(tree.get("tools"), Some(Node { content: Content::Map(_), .. }))
    },
    read: |source, notes| super::without_fault(read_markdown(source, notes), notes),
    write: |writer| {
        let entries = entries(writer, &[]);
        super::markdown(Node::map(entries), &writer.persona.prompt)
    },
};

pub(super) const JSON: Dialect = Dialect {
    id: "opencode-json",
    title: "opencode.json",
    place: "opencode.json",
    extensions: &["json", "jsonc"],
    strict: true,
    says: &[
        NAME,
        DESCRIPTION,
        PROMPT,
        COLOR,
        TOOLS,
        DENY,
        ASK,
        ALLOW,
        MODEL,
        TEMPERATURE,
        STEPS,
        SERVERS,
        SERVER_TOOLS,
        SERVER_TIMEOUT,
        SERVER_EFFECTS,
        SERVER_FORMS,
        SERVER_LAZY,
        SERVER_SECRETS,
    ],
    is_here: |_| false,
    is_this: |tree| tree.get("agent").is_some_and(|agents| matches!(agents.content, Content::Map(_))),
    read: read_json,
    write: write_json,
};

fn read_markdown(source: &Source<'_>, notes: &mut Notes) -> Option<Draft> {
    let mut file = source.markdown(notes)?;
    let stem = source.stem();
    let (name, place) = file.front.text("name", notes).unwrap_or((stem, file.front.place));
    let mut draft = Draft::new(&name, place, file.prompt, file.prompt_line, notes);
    read(file.front, &mut draft, &[], notes);
    Some(draft)
}

fn read_json(source: &Source<'_>, notes: &mut Notes) -> Vec<Draft> {
    let Some(mut whole) = source.json(notes).and_then(|node| Section::of(node, "", notes)) else { return Vec::new() };
    let servers = whole.take("mcp");
    let (servers, forbidden) =
        servers.map_or_else(Default::default, |node| super::usual_servers(Form::Opencode, node, "mcp", notes));
    let known: Vec<String> = match servers.as_ref().map(|node| &node.content) {
        Some(Content::Map(entries)) => entries.iter().map(|entry| entry.key.clone()).collect(),
        _ => Vec::new(),
    };
    let agents = whole.section("agent", notes);
    // What cannot be read of the servers concerns every agent.
    let Some(agents) = agents.filter(|_| !notes.has_errors()) else { return Vec::new() };
    let mut drafts = Vec::new();
    for entry in agents.rest() {
        let before = notes.error_count();
        let draft = read_agent(entry, &known, notes);
        drafts.extend(draft.filter(|_| notes.error_count() == before).map(|mut draft| {
            draft.set_some("mcpServers", servers.clone());
            draft.add("masque.rules", forbidden.clone());
            draft
        }));
    }
    drafts
}

fn read_agent(entry: Entry, servers: &[String], notes: &mut Notes) -> Option<Draft> {
    let mut part = Section::of(entry.value, &format!("agent.{}", entry.key), notes)?;
    let (prompt, place) = part.text("prompt", notes).unwrap_or_default();
    if prompt.starts_with("{file:") {
        let hint = "import the agent from a Markdown file, or put the prompt itself here";
        notes.error(place, format!("the prompt of `{}` is in another file", entry.key), hint);
        return None;
    }
    let mut draft = Draft::new(&entry.key, entry.place, &prompt, place.line, notes);
    read(part, &mut draft, servers, notes);
    Some(draft)
}

fn read(mut front: Section, draft: &mut Draft, servers: &[String], notes: &mut Notes) {
    draft.set_some("description", front.take("description"));
    let denied = tools(&mut front, draft, servers, notes);
    if let Some((color, place)) = front.text("color", notes) {
        match display_keys::color(&color) {
            Some(hex) => draft.set("masque.display.color", Node { place, content: Content::Text(hex) }),
            None => draft.kept.push(Entry { key: "color".to_owned(), place, value: Node::text(color) }),
        }
    }
    if let Some((model, place)) = front.text("model", notes) {
        let model = Node { place, content: Content::Text(model) };
        draft.set("masque.model.prefer", Node { place, content: Content::List(vec![model]) });
    }
    draft.set_some("masque.model.temperature", front.take("temperature"));
    draft.add("masque.rules", denied);
    let rules = permission(&mut front, notes);
    draft.add("masque.rules", rules);
    let steps = front.take("maxSteps").or_else(|| front.take("steps"));
    draft.set_some("masque.budget.steps", steps);
    draft.keep_rest(front, notes);
}

fn rule(tool: &str, path: Option<&str>, effect: &str, place: Place) -> Node {
    let node = |text: &str| Some(Node { place, content: Content::Text(text.to_owned()) });
    let mut rule = Node::map([("tool", node(tool)), ("path", path.and_then(node)), ("effect", node(effect))]);
    rule.place = place;
    rule
}

/// `tools`: names with `true` and `false`. With `"*": false` it is a list of what there is; else what is false is denied.
fn tools(front: &mut Section, draft: &mut Draft, servers: &[String], notes: &mut Notes) -> Vec<Node> {
    let Some(node) = front.take("tools") else { return Vec::new() };
    let place = node.place;
    if let Content::List(_) | Content::Text(_) = node.content {
        let names = super::claude::tools_of(&Node::map([("tools", Some(node))]));
        let named = |name: String| Node { place, content: Content::Text(own_name(&name, servers)) };
        draft.set("tools", Node { place, content: Content::List(names.map(named).collect()) });
        return Vec::new();
    }
    let Some(section) = Section::of(node, "tools", notes) else { return Vec::new() };
    let (mut listed, mut denied, mut only) = (Vec::new(), Vec::new(), false);
    for entry in section.rest() {
        let name = own_name(&entry.key, servers);
        match (&entry.value.content, entry.key.as_str()) {
            (Content::Bool(false), "*") => only = true,
            (Content::Bool(true), "*") => {}
            (Content::Bool(true), _) => listed.push(Node { place: entry.place, content: Content::Text(name) }),
            (Content::Bool(false), _) => denied.push((name, entry.place)),
            _ => {
                let message = format!("`tools.{}` is {}, expected `true` or `false`", entry.key, entry.value.kind());
                notes.error(entry.place, message, "write `true` or `false`");
            }
        }
    }
    if only {
        draft.set("tools", Node { place, content: Content::List(listed) });
        return Vec::new();
    }
    let known = |name: &str| tool_names::is_canonical(name) || name.starts_with("mcp:");
    let (known, unknown): (Vec<_>, Vec<_>) = denied.into_iter().partition(|(name, _)| known(name));
    for (name, place) in unknown {
        notes.warning(place, format!("no tool is called `{name}`; there is nothing to deny"), "check its spelling");
    }
    known.into_iter().map(|(name, place)| rule(&name, None, "deny", place)).collect()
}

/// `<server>_<tool>` of a server that the file describes.
fn own_name(name: &str, servers: &[String]) -> String {
    let of = |server: &String| {
        let rest = name.strip_prefix(server.as_str())?.strip_prefix('_').filter(|rest| !rest.is_empty())?;
        Some((server.len(), format!("mcp:{server}/{rest}")))
    };
    let longest = servers.iter().filter_map(of).max();
    longest.map_or_else(|| tool_names::plain(name), |(_, name)| name)
}

/// `permission`: a verdict per kind of tool, or verdicts by pattern.
fn permission(front: &mut Section, notes: &mut Notes) -> Vec<Node> {
    let Some(node) = front.take("permission") else { return Vec::new() };
    if let Content::Text(verdict) = &node.content {
        return vec![rule("*", None, verdict, node.place)];
    }
    let Some(section) = Section::of(node, "permission", notes) else { return Vec::new() };
    let mut rules = Vec::new();
    for entry in section.rest() {
        let Some((_, tools)) = PERMISSIONS.iter().find(|(name, _)| *name == entry.key) else {
            let message = format!("`permission.{}` is about nothing that Masque has", entry.key);
            notes.warning(entry.place, message, "say it in a rule under `masque.rules`");
            continue;
        };
        for tool in *tools {
            rules.extend(verdicts(tool, &entry, notes));
        }
    }
    rules
}

fn verdicts(tool: &str, entry: &Entry, notes: &mut Notes) -> Vec<Node> {
    let patterns = match &entry.value.content {
        Content::Text(verdict) => return vec![rule(tool, None, verdict, entry.value.place)],
        Content::Map(patterns) => patterns,
        _ => {
            let message = format!("`permission.{}` is {}, expected a text", entry.key, entry.value.kind());
            notes.error(entry.place, message, "write `allow`, `ask` or `deny`");
            return Vec::new();
        }
    };
    let by_path = tool.starts_with("fs.") && !matches!(tool, "fs.glob" | "fs.search");
    let strictest = patterns
        .iter()
        .filter_map(|pattern| pattern.value.as_text())
        .max_by_key(|verdict| ["allow", "ask", "deny"].iter().position(|known| known == verdict));
    if by_path {
        let path = |pattern: &Entry| (pattern.key != "*").then(|| pattern.key.clone());
        let each = patterns
            .iter()
            .filter_map(|pattern| Some(rule(tool, path(pattern).as_deref(), pattern.value.as_text()?, pattern.place)));
        return each.collect();
    }
    let message = format!(
        "rules here do not look into the arguments of `{tool}`: the strictest of its patterns holds for all calls"
    );
    notes.warning(entry.place, message, "deny single commands in a hook");
    strictest.map(|verdict| rule(tool, None, verdict, entry.place)).into_iter().collect()
}

fn entries(writer: &mut Writer<'_>, prompt: &[(&'static str, Option<Node>)]) -> Vec<(&'static str, Option<Node>)> {
    let persona = writer.persona;
    let model = writer.model("opencode", |model| Some(model.to_string()));
    let temperature = persona.model.temperature.and_then(serde_json::Number::from_f64);
    let mut entries = vec![
        ("description", text(&persona.description)),
        ("model", model.map(Node::text)),
        ("temperature", temperature.map(Node::number)),
        ("steps", persona.budget.steps.map(Node::number)),
        ("color", persona.display.color.as_deref().map(Node::text)),
        ("tools", tools_out(writer, !prompt.is_empty())),
        ("permission", permission_out(writer)),
    ];
    entries.extend(prompt.iter().cloned());
    entries
}

fn tools_out(writer: &mut Writer<'_>, with_servers: bool) -> Option<Node> {
    let servers: Vec<String> = writer.persona.mcp_servers.keys().cloned().collect();
    let names = writer.tools(&OPENCODE, |server, tool| {
        let name = format!("{server}_{tool}");
        let read_back = own_name(&name, &servers) == format!("mcp:{server}/{tool}");
        (with_servers && read_back).then_some(name)
    })?;
    let all = std::iter::once(("*".to_owned(), false)).chain(names.into_iter().map(|name| (name, true)));
    Some(Node::map(all.map(|(name, has)| (name, Some(Node::new(Content::Bool(has)))))))
}

fn permission_out(writer: &mut Writer<'_>) -> Option<Node> {
    let mut whole: Vec<&Rule> = Vec::new();
    for (effect, field) in [(Verdict::Deny, DENY), (Verdict::Ask, ASK), (Verdict::Allow, ALLOW)] {
        whole.extend(writer.whole_tool_rules(effect, field));
    }
    let mut written: Vec<&Rule> = Vec::new();
    let mut entries = Vec::new();
    for (name, tools) in PERMISSIONS {
        let of = |tool: &&str| -> Vec<&Rule> { whole.iter().copied().filter(|rule| rule.tool == **tool).collect() };
        let rules: Vec<Vec<&Rule>> = tools.iter().map(of).collect();
        let effects: Vec<Option<Verdict>> =
            rules.iter().map(|rules| if let [one] = rules.as_slice() { Some(one.effect) } else { None }).collect();
        if let Some(Some(effect)) = effects.first()
            && effects.iter().all(|other| *other == Some(*effect))
        {
            written.extend(rules.iter().flatten());
            entries.push((name, Some(Node::text(effect.name()))));
        }
    }
    for rule in whole.iter().filter(|rule| !written.contains(*rule)) {
        let field = match rule.effect {
            Verdict::Deny => DENY,
            Verdict::Ask => ASK,
            Verdict::Allow => ALLOW,
        };
        writer.lose(field, format!("opencode has no permission for exactly this: {}", rule.describe()));
    }
    (!entries.is_empty()).then(|| Node::map(entries))
}

fn write_json(writer: &mut Writer<'_>) -> String {
    let persona: &Persona = writer.persona;
    let agent = entries(writer, &[("prompt", text(&persona.prompt))]);
    let servers = servers::write_all(Form::Opencode, writer);
    if servers.is_some() && persona.tools == ToolSelection::Default {
        writer.lose_at(super::fields::Risk::Behaviour, SERVERS, "all agents of the file see the servers");
    }
    let whole = Node::map([
        ("$schema", Some(Node::text("https://opencode.ai/config.json"))),
        ("agent", Some(Node::map([(persona.name.clone(), Some(Node::map(agent)))]))),
        ("mcp", servers),
    ]);
    super::json(&whole)
}
