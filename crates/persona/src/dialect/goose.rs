//! goose: recipes in YAML.

use masque_tree::{Content, Entry, Node};
use masque_types::policy::ToolSelection;

use super::{
    Dialect,
    draft::Draft,
    fields::{
        DESCRIPTION, MODEL, NAME, OUTPUT, PROMPT, SECRETS, SERVER_EFFECTS, SERVER_FORMS, SERVER_LAZY, SERVER_SECRETS,
        SERVER_TIMEOUT, SERVER_TOOLS, SERVERS, STEPS, TEMPERATURE, TITLE, TOOLS,
    },
    servers::{self, Form},
    source::Source,
    writer::{Writer, text},
};
use crate::{aliases::GOOSE, front_matter::fitting, notes::Notes, secret_keys, section::Section, tool_names};

/// The built-in extension with file tools and a shell, and what it gives.
const DEVELOPER: &str = "developer";
const DEVELOPER_TOOLS: [&str; 7] = ["fs.read", "fs.glob", "fs.search", "fs.write", "fs.edit", "fs.list", "shell.exec"];

pub(super) const RECIPE: Dialect = Dialect {
    id: "goose-recipe",
    title: "goose recipe",
    place: "{name}.yaml",
    extensions: &["yaml", "yml"],
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
        OUTPUT,
        SERVERS,
        SERVER_TOOLS,
        SERVER_TIMEOUT,
        SERVER_EFFECTS,
        SERVER_FORMS,
        SERVER_LAZY,
        SERVER_SECRETS,
        SECRETS,
    ],
    is_here: |source| source.is_below("recipes"),
    is_this: |tree| tree.get("title").is_some() && (tree.get("instructions").is_some() || tree.get("prompt").is_some()),
    read: |source, notes| super::without_fault(read(source, notes), notes),
    write,
};

fn read(source: &Source<'_>, notes: &mut Notes) -> Option<Draft> {
    let mut recipe = Section::of(source.yaml(notes)?, "", notes)?;
    let place = recipe.place;
    let (instructions, task) = (recipe.text("instructions", notes), recipe.text("prompt", notes));
    let (instructions, task) = match instructions {
        Some(instructions) => (Some(instructions), task),
        None => (task, None),
    };
    let Some((prompt, prompt_place)) = instructions else {
        notes.error(place, "a recipe needs `instructions` or `prompt`", "write what the agent is to do");
        return None;
    };
    let name = fitting(&source.stem());
    let mut draft = Draft::new(&name, place, &prompt, prompt_place.line, notes);
    if let Some((task, place)) = task {
        let value = Node { place, content: Content::Text(task) };
        draft.keep(Entry { key: "prompt".to_owned(), place, value }, notes);
    }
    if prompt.contains("{{") {
        let hint = "replace the parameters: a persona's prompt is plain text";
        notes.warning(prompt_place, "the instructions hold parameters of the recipe, which nobody fills in", hint);
    }
    draft.set_some("description", recipe.take("description"));
    if let Some((title, place)) = recipe.text("title", notes).filter(|(title, _)| *title != name) {
        draft.set("masque.display.title", Node { place, content: Content::Text(title) });
    }
    extensions(&mut recipe, &mut draft, notes);
    settings(&mut recipe, &mut draft, notes);
    if let Some(mut response) = recipe.section("response", notes) {
        draft.set_some("masque.output.schema", response.take("json_schema"));
        draft.keep_rest(response, notes);
    }
    if let Some(version) = recipe.take("version").filter(|version| version.as_text() != Some(VERSION)) {
        draft.kept.push(Entry { key: "version".to_owned(), place: version.place, value: version });
    }
    draft.keep_rest(recipe, notes);
    Some(draft)
}

/// The servers, and with them the tools: a recipe that lists extensions has no others.
fn extensions(recipe: &mut Section, draft: &mut Draft, notes: &mut Notes) {
    let Some(node) = recipe.take("extensions") else { return };
    let place = node.place;
    let Content::List(items) = node.content else {
        notes.error(place, "`extensions` is no list", "write `- type: stdio` items below it");
        return;
    };
    let (mut tools, mut servers, mut secrets) = (Vec::new(), Vec::new(), Vec::new());
    for item in items {
        let text_at = |key: &str| item.get(key).and_then(Node::as_text).unwrap_or_default().to_owned();
        let (kind, name) = (text_at("type"), text_at("name"));
        match kind.as_str() {
            "builtin" | "platform" if name == DEVELOPER => tools.extend(developer(&item)),
            "stdio" | "streamable_http" | "sse" => {
                let name = name.replace([' ', '/'], "-");
                tools.push(Node { place: item.place, content: Content::Text(format!("mcp:{name}/*")) });
                secrets.extend(texts_at(&item, "env_keys"));
                let (server, forbidden) = servers::read(Form::Goose, item);
                draft.add("masque.rules", super::denials(&name, forbidden));
                servers.push((name, Some(server)));
            }
            _ => {
                let message = format!("the extension `{name}` of type `{kind}` has no counterpart; it is left out");
                notes.warning(item.place, message, "give the persona an MCP server that does the same");
            }
        }
    }
    draft.set("tools", Node { place, content: Content::List(tools) });
    draft.set_some("mcpServers", (!servers.is_empty()).then(|| Node::map(servers)));
    secrets.sort();
    secrets.dedup();
    let secrets = secrets
        .into_iter()
        .filter(|name| secret_keys::is_variable(name))
        .map(|name| Node::map([("name", Some(Node::text(name))), ("inject", Some(Node::text("environment")))]));
    draft.add("masque.secrets", secrets.collect());
}

fn texts_at(node: &Node, key: &str) -> Vec<String> {
    match node.get(key).map(|node| &node.content) {
        Some(Content::List(items)) => items.iter().filter_map(Node::as_text).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn developer(item: &Node) -> Vec<Node> {
    let place = item.place;
    let named = |name: String| Node { place, content: Content::Text(name) };
    if item.get("available_tools").is_some_and(|tools| !tools.is_empty()) {
        return texts_at(item, "available_tools").iter().map(|name| named(tool_names::plain(name))).collect();
    }
    DEVELOPER_TOOLS.into_iter().map(|name| named(name.to_owned())).collect()
}

fn settings(recipe: &mut Section, draft: &mut Draft, notes: &mut Notes) {
    let Some(mut settings) = recipe.section("settings", notes) else { return };
    let provider = settings.text("goose_provider", notes);
    if let Some((model, place)) = settings.text("goose_model", notes) {
        let whole = provider.map_or_else(|| model.clone(), |(provider, _)| format!("{provider}/{model}"));
        let model = Node { place, content: Content::Text(whole) };
        draft.set("masque.model.prefer", Node { place, content: Content::List(vec![model]) });
    }
    draft.set_some("masque.model.temperature", settings.take("temperature"));
    draft.set_some("masque.budget.steps", settings.take("max_turns"));
    draft.keep_rest(settings, notes);
}

const VERSION: &str = "1.0.0";

fn write(writer: &mut Writer<'_>) -> String {
    let persona = writer.persona;
    let model = writer.model("goose", |model| Some(model.to_string()));
    let (provider, model) = model.as_deref().and_then(|name| name.split_once('/')).unzip();
    let temperature = persona.model.temperature.and_then(serde_json::Number::from_f64);
    let settings = Node::map([
        ("goose_provider", provider.map(Node::text)),
        ("goose_model", model.map(Node::text)),
        ("temperature", temperature.map(Node::number)),
        ("max_turns", persona.budget.steps.map(Node::number)),
    ]);
    if persona.secrets.iter().any(|secret| !secret.hosts.is_empty()) {
        writer.lose(SECRETS, "goose puts secrets into the environment of an extension, for any host");
    }
    let schema = persona.output_schema.clone().map(Node::json);
    let recipe = Node::map([
        ("version", Some(Node::text(VERSION))),
        ("title", Some(Node::text(persona.display.title.as_deref().unwrap_or(&persona.name)))),
        ("description", text(&persona.description)),
        ("instructions", text(&persona.prompt)),
        ("settings", (!settings.is_empty()).then_some(settings)),
        ("extensions", extensions_out(writer)),
        ("response", schema.map(|schema| Node::map([("json_schema", Some(schema))]))),
    ]);
    check_secrets(writer);
    super::yaml(&recipe)
}

/// A secret is written with the server that uses it.
fn check_secrets(writer: &mut Writer<'_>) {
    let persona = writer.persona;
    let used = |name: &String| persona.mcp_servers.values().any(|server| server.secrets.contains(name));
    if persona.secrets.iter().any(|secret| !used(&secret.name)) {
        writer.lose(SECRETS, "goose gives secrets to extensions only");
    }
}

fn extensions_out(writer: &mut Writer<'_>) -> Option<Node> {
    let persona = writer.persona;
    let mut items = Vec::new();
    match &persona.tools {
        ToolSelection::Default if persona.mcp_servers.is_empty() => return None,
        // A list of servers would take the other tools away.
        ToolSelection::Default => {
            items.push(Node::map([("type", Some(Node::text("builtin"))), ("name", Some(Node::text(DEVELOPER)))]));
            writer.lose_at(super::fields::Risk::Behaviour, TOOLS, "the default set becomes what `developer` gives");
        }
        ToolSelection::Only(names) => {
            items.extend(developer_out(names, writer));
            check_server_tools(writer);
        }
    }
    for (name, server) in &persona.mcp_servers {
        items.push(servers::write(Form::Goose, name, server, writer));
    }
    Some(Node::new(Content::List(items)))
}

/// The extension that gives the listed tools of our own.
fn developer_out(names: &[String], writer: &mut Writer<'_>) -> Option<Node> {
    let own: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.starts_with("mcp:")).collect();
    let whole = own.starts_with(&DEVELOPER_TOOLS);
    let available = if whole {
        for name in own.iter().skip(DEVELOPER_TOOLS.len()) {
            writer.lose_at(super::fields::Risk::Behaviour, TOOLS, format!("`{name}` has no name in {}", GOOSE.program));
        }
        None
    } else {
        let server = |server: &str, tool: &str| Some(format!("mcp:{server}/{tool}"));
        let theirs = writer.tools(&GOOSE, server).unwrap_or_default();
        Some(theirs.into_iter().filter(|name| !name.starts_with("mcp:")).collect::<Vec<_>>())
    };
    let gives = available.as_ref().is_none_or(|names| !names.is_empty());
    gives.then(|| {
        Node::map([
            ("type", Some(Node::text("builtin"))),
            ("name", Some(Node::text(DEVELOPER))),
            ("available_tools", available.map(Node::texts)),
        ])
    })
}

/// Reading back gives every tool of every server, behind the own tools: anything else is a loss.
fn check_server_tools(writer: &mut Writer<'_>) {
    let ToolSelection::Only(names) = &writer.persona.tools else { return };
    let (of_servers, own): (Vec<&String>, Vec<&String>) = names.iter().partition(|name| name.starts_with("mcp:"));
    let all: Vec<String> = writer.persona.mcp_servers.keys().map(|name| format!("mcp:{name}/*")).collect();
    let in_order = names.iter().eq(own.into_iter().chain(&all));
    if of_servers.iter().copied().ne(&all) {
        writer.lose(TOOLS, "an extension gives all of its tools, or those that its own list names");
    } else if !in_order {
        writer.lose_at(super::fields::Risk::Cosmetic, TOOLS, "the order of the tools changes");
    }
}
