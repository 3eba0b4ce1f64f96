//! Our own files, `.agents/agents/*.md`, which goose and OpenHands read as well: they know the keys at the top and leave
//! the rest alone. Nothing is lost.

use masque_tree::{Content, Entry, Node, Place};
use masque_types::{
    persona::{Backend, Hook, Injection, Persona, SandboxSpec},
    policy::{Mode, ToolSelection},
};

use super::{
    Dialect,
    draft::Draft,
    fields::{self, SKILLS},
    servers::{self, Form},
    source::Source,
    writer::{Writer, text},
};
use crate::{
    front_matter::{fitting, is_name},
    masque_keys,
    notes::Notes,
};

pub(super) const AGENTS: Dialect = Dialect {
    id: "agents",
    title: "Masque, goose, OpenHands",
    place: ".agents/agents/{name}.md",
    extensions: &["md", "markdown"],
    strict: false,
    says: &EVERYTHING,
    is_here: |source| source.is_below(".agents") || source.is_below(".goose") || source.is_below(".openhands"),
    is_this: |tree| {
        ["masque", "mcp_config", "permission_mode", "max_iteration_per_run", "max_budget_per_run", "provider", "avatar"]
            .iter()
            .any(|key| tree.get(key).is_some())
    },
    read: |source, notes| super::without_fault(read(source, notes), notes),
    write,
};

/// All fields, and the schema of the answer.
pub(super) const COUNT: usize = fields::FIELDS.len() + 1;

pub(super) const EVERYTHING: [&str; COUNT] = everything();

const fn everything() -> [&'static str; COUNT] {
    let mut names = [fields::OUTPUT; COUNT];
    let mut at = 0;
    while at < fields::FIELDS.len() {
        #[expect(clippy::indexing_slicing, reason = "computed when the program is built; the loop ends with the list")]
        {
            names[at] = fields::FIELDS[at].name;
        }
        at += 1;
    }
    names
}

fn read(source: &Source<'_>, notes: &mut Notes) -> Option<Draft> {
    let (mut front, parts) = source.markdown_node(notes)?;
    let stem = source.stem();
    let fitting = fitting(front.get("name").and_then(Node::as_text).unwrap_or(&stem));
    if let Content::Map(entries) = &mut front.content {
        match entries.iter_mut().find(|entry| entry.key == "name") {
            Some(name) => {
                if name.value.as_text().is_some_and(|name| !is_name(name)) {
                    let message =
                        format!("the name becomes `{fitting}`: names here are lower-case letters, digits and `-`");
                    notes.warning(name.place, message, "rename it where it is used");
                    name.value.content = Content::Text(fitting.clone());
                }
            }
            None => {
                let value = Node { place: Place::START, content: Content::Text(fitting.clone()) };
                entries.insert(0, Entry { key: "name".to_owned(), place: Place::START, value });
            }
        }
    }
    Some(Draft::of_ours(&fitting, front, parts.prompt, parts.prompt_line))
}

fn write(writer: &mut Writer<'_>) -> String {
    let persona = writer.persona;
    if !persona.skills.is_empty() {
        writer.lose_at(fields::Risk::Cosmetic, SKILLS, "their directories are written beside the file");
    }
    let tools = match &persona.tools {
        ToolSelection::Default => None,
        ToolSelection::Only(names) => Some(Node::texts(names.clone())),
    };
    let front = Node::map([
        ("name", text(&persona.name)),
        ("description", text(&persona.description)),
        ("tools", tools),
        ("mcpServers", servers::write_all(Form::Ours, writer)),
        ("masque", masque(persona)),
    ]);
    super::markdown(front, &persona.prompt)
}

/// A mapping that is left out when it says nothing.
fn part<K: Into<String>>(entries: impl IntoIterator<Item = (K, Option<Node>)>) -> Option<Node> {
    let map = Node::map(entries);
    (!map.is_empty()).then_some(map)
}

fn list(texts: &[String]) -> Option<Node> {
    (!texts.is_empty()).then(|| Node::texts(texts.to_vec()))
}

fn flag(flag: bool) -> Option<Node> {
    flag.then(|| Node::new(Content::Bool(true)))
}

fn fraction(value: f64) -> Option<Node> {
    serde_json::Number::from_f64(value).map(Node::number)
}

fn millis(duration: std::time::Duration) -> Node {
    Node::text(format!("{}ms", duration.as_millis()))
}

fn masque(persona: &Persona) -> Option<Node> {
    let entries = [
        ("display", display(persona)),
        ("model", model(persona)),
        ("mode", (persona.mode != Mode::Default).then(|| Node::text(persona.mode.name()))),
        ("rules", rules(persona)),
        ("sandbox", sandbox(&persona.sandbox)),
        ("secrets", secrets(persona)),
        ("budget", budget(persona)),
        ("delegate", delegate(persona)),
        ("memory", memory(persona)),
        ("output", persona.output_schema.clone().and_then(|schema| part([("schema", Some(Node::json(schema)))]))),
        ("hooks", hooks(persona)),
        ("callable", flag(persona.callable)),
    ];
    let schema = ("schema", Some(Node::text(masque_keys::SCHEMA)));
    entries.iter().any(|(_, value)| value.is_some()).then(|| Node::map(std::iter::once(schema).chain(entries)))
}

fn display(persona: &Persona) -> Option<Node> {
    let display = &persona.display;
    part([
        ("title", display.title.as_deref().map(Node::text)),
        ("icon", display.icon.as_ref().map(|_| Node::text("icon.svg"))),
        ("color", display.color.as_deref().map(Node::text)),
    ])
}

fn model(persona: &Persona) -> Option<Node> {
    let model = &persona.model;
    let prefer: Vec<String> = model.prefer.iter().map(ToString::to_string).collect();
    part([
        ("prefer", list(&prefer)),
        ("fallback_on", model.fallback_on.as_ref().map(|kinds| Node::texts(kinds.iter().map(|kind| kind.name())))),
        ("temperature", model.temperature.and_then(fraction)),
        ("max_output_tokens", model.max_output_tokens.map(Node::number)),
    ])
}

fn rules(persona: &Persona) -> Option<Node> {
    let rule = |rule: &masque_types::policy::Rule| {
        Node::map([
            ("tool", Some(Node::text(rule.tool.clone()))),
            ("path", rule.path.as_deref().map(Node::text)),
            ("effect", Some(Node::text(rule.effect.name()))),
        ])
    };
    (!persona.rules.is_empty()).then(|| Node::new(Content::List(persona.rules.iter().map(rule).collect())))
}

fn sandbox(sandbox: &SandboxSpec) -> Option<Node> {
    let backend = match sandbox.backend {
        Backend::Auto => None,
        Backend::Process => Some("process"),
        Backend::Container => Some("container"),
    };
    let allow = if sandbox.network { Some(Node::texts(["*"])) } else { list(&sandbox.hosts) };
    let limits = &sandbox.limits;
    part([
        ("backend", backend.map(Node::text)),
        (
            "container",
            sandbox.container.as_ref().and_then(|container| {
                part([
                    ("image", text(&container.image)),
                    ("shared", flag(container.shared)),
                    ("runtime", container.runtime.as_deref().map(Node::text)),
                ])
            }),
        ),
        (
            "fs",
            part([
                ("rw", sandbox.rw.clone().map(Node::texts)),
                ("ro", list(&sandbox.ro)),
                ("deny", list(&sandbox.deny)),
            ]),
        ),
        ("net", part([("allow", allow)])),
        (
            "limits",
            part([
                ("memory", limits.memory_bytes.map(Node::number)),
                ("pids", limits.pids.map(Node::number)),
                ("tmp", limits.tmp_bytes.map(Node::number)),
            ]),
        ),
    ])
}

fn secrets(persona: &Persona) -> Option<Node> {
    let secret = |secret: &masque_types::persona::SecretGrant| {
        Node::map([
            ("name", text(&secret.name)),
            ("inject", (secret.inject == Injection::Environment).then(|| Node::text("environment"))),
            ("hosts", list(&secret.hosts)),
        ])
    };
    (!persona.secrets.is_empty()).then(|| Node::new(Content::List(persona.secrets.iter().map(secret).collect())))
}

#[expect(clippy::cast_precision_loss, reason = "amounts of money are far below 2^53 millionths")]
fn budget(persona: &Persona) -> Option<Node> {
    let budget = &persona.budget;
    part([
        ("usd", budget.micro_usd.and_then(|money| fraction(money.0 as f64 / 1_000_000.0))),
        ("tokens", budget.tokens.map(Node::number)),
        ("steps", budget.steps.map(Node::number)),
        ("wall", budget.wall.map(millis)),
    ])
}

fn delegate(persona: &Persona) -> Option<Node> {
    let delegate = &persona.delegate;
    part([
        ("to", list(&delegate.to)),
        ("depth", delegate.depth.map(Node::number)),
        ("parallel", delegate.parallel.map(Node::number)),
        ("grants", delegate.grants.clone().map(Node::texts)),
        ("history", flag(delegate.history)),
    ])
}

fn memory(persona: &Persona) -> Option<Node> {
    let memory = &persona.memory;
    part([("scopes", list(&memory.scopes)), ("inject", memory.inject.map(Node::number))])
}

fn hooks(persona: &Persona) -> Option<Node> {
    let hook = |hook: &Option<Hook>| hook.as_ref().map(|hook| Node::text(hook.path.clone()));
    let hooks = &persona.hooks;
    part([
        ("on_activate", hook(&hooks.on_activate)),
        ("on_deactivate", hook(&hooks.on_deactivate)),
        ("pre_tool_use", hook(&hooks.pre_tool_use)),
        ("post_tool_use", hook(&hooks.post_tool_use)),
    ])
}
