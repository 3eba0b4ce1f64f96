//! What a persona consists of, field by field: the list that losses are told by.
//!
//! Leaves out which dialect can say what: each dialect's own file does that.

use masque_types::{
    persona::{Backend, Forms, McpServer, Persona},
    policy::{Mode, Rule, ToolSelection, Verdict},
};
use serde::Serialize;
use serde_json::{Value, json};

/// What a loss can lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// It looks different.
    Cosmetic,
    /// It behaves differently.
    Behaviour,
    /// A restriction is gone: the other program allows more than the file says.
    Security,
}

impl Risk {
    /// The name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cosmetic => "cosmetic",
            Self::Behaviour => "behaviour",
            Self::Security => "security",
        }
    }
}

/// Something that an export could not say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Loss {
    /// The field of the persona file, such as `masque.budget.usd`.
    pub field: &'static str,
    /// Why, for people.
    pub reason: String,
    /// What it can lead to.
    pub risk: Risk,
}

/// One field of a persona.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// Its value; null when the persona says nothing there.
    pub(crate) value: fn(&Persona) -> Value,
    /// What losing that value can lead to.
    pub(crate) risk: fn(&Persona) -> Risk,
}

const COSMETIC: fn(&Persona) -> Risk = |_| Risk::Cosmetic;
const BEHAVIOUR: fn(&Persona) -> Risk = |_| Risk::Behaviour;
const SECURITY: fn(&Persona) -> Risk = |_| Risk::Security;

pub(crate) const NAME: &str = "name";
pub(crate) const DESCRIPTION: &str = "description";
pub(crate) const PROMPT: &str = "prompt";
pub(crate) const TITLE: &str = "masque.display.title";
pub(crate) const ICON: &str = "masque.display.icon";
pub(crate) const COLOR: &str = "masque.display.color";
pub(crate) const TOOLS: &str = "tools";
pub(crate) const DENY: &str = "masque.rules (deny)";
pub(crate) const ASK: &str = "masque.rules (ask)";
pub(crate) const ALLOW: &str = "masque.rules (allow)";
pub(crate) const MODE: &str = "masque.mode";
pub(crate) const MODEL: &str = "masque.model.prefer";
pub(crate) const FALLBACK_ON: &str = "masque.model.fallback_on";
pub(crate) const TEMPERATURE: &str = "masque.model.temperature";
pub(crate) const MAX_OUTPUT: &str = "masque.model.max_output_tokens";
pub(crate) const SERVERS: &str = "mcpServers";
pub(crate) const SERVER_TOOLS: &str = "mcpServers.*.tools";
pub(crate) const SERVER_EFFECTS: &str = "mcpServers.*.effects";
pub(crate) const SERVER_TIMEOUT: &str = "mcpServers.*.timeout";
pub(crate) const SERVER_LAZY: &str = "mcpServers.*.lazy";
pub(crate) const SERVER_FORMS: &str = "mcpServers.*.forms";
pub(crate) const SERVER_SECRETS: &str = "mcpServers.*.secrets";
pub(crate) const SKILLS: &str = "skills";
pub(crate) const FILES_RW: &str = "masque.sandbox.fs.rw";
pub(crate) const FILES_RO: &str = "masque.sandbox.fs.ro";
pub(crate) const FILES_DENY: &str = "masque.sandbox.fs.deny";
pub(crate) const NETWORK: &str = "masque.sandbox.net.allow (*)";
pub(crate) const HOSTS: &str = "masque.sandbox.net.allow";
pub(crate) const BACKEND: &str = "masque.sandbox.backend";
pub(crate) const CONTAINER: &str = "masque.sandbox.container";
pub(crate) const LIMITS: &str = "masque.sandbox.limits";
pub(crate) const SECRETS: &str = "masque.secrets";
pub(crate) const HOOKS: &str = "masque.hooks";
pub(crate) const DELEGATE_TO: &str = "masque.delegate.to";
pub(crate) const DELEGATE_BOUNDS: &str = "masque.delegate.{depth,parallel,grants}";
pub(crate) const DELEGATE_HISTORY: &str = "masque.delegate.history";
pub(crate) const MEMORY: &str = "masque.memory";
pub(crate) const CALLABLE: &str = "masque.callable";
pub(crate) const STEPS: &str = "masque.budget.steps";
pub(crate) const TOKENS: &str = "masque.budget.tokens";
pub(crate) const USD: &str = "masque.budget.usd";
pub(crate) const WALL: &str = "masque.budget.wall";
pub(crate) const OUTPUT: &str = "masque.output.schema";

/// All fields, in the order of a file.
pub(crate) const FIELDS: [Field; 42] = [
    Field { name: NAME, value: |p| json!(p.name), risk: BEHAVIOUR },
    Field { name: DESCRIPTION, value: |p| text(&p.description), risk: BEHAVIOUR },
    Field { name: PROMPT, value: |p| text(&p.prompt), risk: BEHAVIOUR },
    Field { name: TITLE, value: |p| json!(p.display.title), risk: COSMETIC },
    Field { name: ICON, value: |p| json!(p.display.icon), risk: COSMETIC },
    Field { name: COLOR, value: |p| json!(p.display.color), risk: COSMETIC },
    Field { name: TOOLS, value: tools, risk: SECURITY },
    Field { name: DENY, value: |p| rules(p, Verdict::Deny), risk: SECURITY },
    Field { name: ASK, value: |p| rules(p, Verdict::Ask), risk: SECURITY },
    Field { name: ALLOW, value: |p| rules(p, Verdict::Allow), risk: BEHAVIOUR },
    Field { name: MODE, value: mode, risk: mode_risk },
    Field { name: MODEL, value: |p| list(&p.model.prefer), risk: BEHAVIOUR },
    Field { name: FALLBACK_ON, value: |p| json!(p.model.fallback_on), risk: BEHAVIOUR },
    Field { name: TEMPERATURE, value: |p| json!(p.model.temperature), risk: BEHAVIOUR },
    Field { name: MAX_OUTPUT, value: |p| json!(p.model.max_output_tokens), risk: BEHAVIOUR },
    Field { name: SERVERS, value: |p| servers(p, |server| json!(server.transport)), risk: BEHAVIOUR },
    Field { name: SERVER_TOOLS, value: |p| servers(p, |server| json!(server.tools)), risk: SECURITY },
    Field { name: SERVER_EFFECTS, value: |p| servers(p, |server| map(json!(server.effects))), risk: BEHAVIOUR },
    Field { name: SERVER_TIMEOUT, value: |p| servers(p, timeout), risk: BEHAVIOUR },
    Field { name: SERVER_LAZY, value: |p| servers(p, |server| flag(server.lazy)), risk: COSMETIC },
    Field { name: SERVER_FORMS, value: |p| servers(p, forms), risk: BEHAVIOUR },
    Field { name: SERVER_SECRETS, value: |p| servers(p, |server| list(&server.secrets)), risk: SECURITY },
    Field { name: SKILLS, value: |p| list(&p.skills), risk: BEHAVIOUR },
    Field { name: FILES_RW, value: |p| json!(p.sandbox.rw), risk: SECURITY },
    Field { name: FILES_RO, value: |p| list(&p.sandbox.ro), risk: BEHAVIOUR },
    Field { name: FILES_DENY, value: |p| list(&p.sandbox.deny), risk: SECURITY },
    Field { name: NETWORK, value: |p| flag(p.sandbox.network), risk: BEHAVIOUR },
    Field { name: HOSTS, value: |p| list(&p.sandbox.hosts), risk: SECURITY },
    Field { name: BACKEND, value: backend, risk: SECURITY },
    Field { name: CONTAINER, value: |p| json!(p.sandbox.container), risk: SECURITY },
    Field { name: LIMITS, value: |p| map(json!(p.sandbox.limits)), risk: SECURITY },
    Field { name: SECRETS, value: |p| list(&p.secrets), risk: SECURITY },
    Field { name: HOOKS, value: |p| map(json!(p.hooks)), risk: hooks_risk },
    Field { name: DELEGATE_TO, value: |p| list(&p.delegate.to), risk: BEHAVIOUR },
    Field { name: DELEGATE_BOUNDS, value: bounds, risk: SECURITY },
    Field { name: DELEGATE_HISTORY, value: |p| flag(p.delegate.history), risk: BEHAVIOUR },
    Field { name: MEMORY, value: |p| map(json!(p.memory)), risk: BEHAVIOUR },
    Field { name: CALLABLE, value: |p| flag(p.callable), risk: COSMETIC },
    Field { name: STEPS, value: |p| json!(p.budget.steps), risk: SECURITY },
    Field { name: TOKENS, value: |p| json!(p.budget.tokens), risk: SECURITY },
    Field { name: USD, value: |p| json!(p.budget.micro_usd), risk: SECURITY },
    Field { name: WALL, value: |p| json!(p.budget.wall.map(|wall| wall.as_millis())), risk: SECURITY },
];

/// The answer's schema is no restriction of what the persona may do.
pub(crate) const OUTPUT_FIELD: Field = Field { name: OUTPUT, value: |p| json!(p.output_schema), risk: BEHAVIOUR };

/// All fields.
pub(crate) fn all() -> impl Iterator<Item = &'static Field> {
    FIELDS.iter().chain(std::iter::once(&OUTPUT_FIELD))
}

fn text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}

fn flag(flag: bool) -> Value {
    if flag { json!(true) } else { Value::Null }
}

fn list<T: Serialize>(items: &[T]) -> Value {
    if items.is_empty() { Value::Null } else { json!(items) }
}

fn map(value: Value) -> Value {
    if value.as_object().is_some_and(serde_json::Map::is_empty) { Value::Null } else { value }
}

fn tools(persona: &Persona) -> Value {
    match &persona.tools {
        ToolSelection::Default => Value::Null,
        ToolSelection::Only(names) => json!(names),
    }
}

fn rules(persona: &Persona, effect: Verdict) -> Value {
    let mut rules: Vec<&Rule> = persona.rules.iter().filter(|rule| rule.effect == effect).collect();
    rules.sort_by_key(|rule| (&rule.tool, &rule.path));
    rules.dedup();
    list(&rules)
}

fn mode(persona: &Persona) -> Value {
    if persona.mode == Mode::Default { Value::Null } else { json!(persona.mode) }
}

fn mode_risk(persona: &Persona) -> Risk {
    if persona.mode == Mode::Plan { Risk::Security } else { Risk::Behaviour }
}

fn backend(persona: &Persona) -> Value {
    if persona.sandbox.backend == Backend::Auto { Value::Null } else { json!(persona.sandbox.backend) }
}

/// A guard is a restriction; what runs before and after is not.
fn hooks_risk(persona: &Persona) -> Risk {
    if persona.hooks.pre_tool_use.is_some() { Risk::Security } else { Risk::Behaviour }
}

fn bounds(persona: &Persona) -> Value {
    let delegate = &persona.delegate;
    if delegate.depth.is_none() && delegate.parallel.is_none() && delegate.grants.is_none() {
        return Value::Null;
    }
    json!([delegate.depth, delegate.parallel, delegate.grants])
}

fn servers(persona: &Persona, of: fn(&McpServer) -> Value) -> Value {
    let values = persona.mcp_servers.iter().map(|(name, server)| (name.clone(), of(server)));
    map(values.filter(|(_, value)| !value.is_null()).collect())
}

fn forms(server: &McpServer) -> Value {
    if server.forms == Forms::Decline { Value::Null } else { json!(server.forms) }
}

fn timeout(server: &McpServer) -> Value {
    let usual = McpServer::new(server.transport.clone()).timeout;
    if server.timeout == usual { Value::Null } else { json!(server.timeout.as_millis()) }
}
