//! Use cases over tools: what there is and what a persona has of it.

use masque_tools::{
    host::discovery::{describe_spec, search_spec},
    server::{self, ToolServerConfig},
};
use masque_types::{
    message::ToolCall,
    persona::Persona,
    policy::{Decision, Policy},
    tool::{EffectClass, Place, ToolSpec},
};

use crate::Error;

/// A tool, and what a persona may do with it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ToolView {
    /// The tool.
    #[serde(flatten)]
    pub spec: ToolSpec,
    /// What the persona's policy says of a call without arguments; absent without a persona.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

/// The built-in tools; with a persona, those that it has, each with the policy's decision.
#[must_use]
pub fn list(persona: Option<&Persona>) -> Vec<ToolView> {
    let specs = masque_tools::builtin_specs();
    let Some(persona) = persona else {
        return specs.into_iter().map(|spec| ToolView { spec, decision: None }).collect();
    };
    let policy = Policy::of(persona);
    let has_skills = !persona.skills.is_empty();
    let calls = !persona.delegate.to.is_empty();
    let has = |spec: &ToolSpec| {
        policy.has_tool(&spec.name, spec.effect)
            && (has_skills || spec.name != masque_tools::host::skill::NAME)
            && (calls || spec.place != Place::Run)
            && (!persona.memory.scopes.is_empty() || !is_memory(&spec.name))
    };
    specs.into_iter().filter(has).map(|spec| ToolView { decision: Some(decide(&policy, &spec)), spec }).collect()
}

/// All tools that a persona could have, without asking its servers: for each server the pattern of all its tools, and
/// those that its file names.
pub(crate) fn known(persona: &Persona) -> impl Iterator<Item = (String, EffectClass)> {
    let calls = !persona.delegate.to.is_empty();
    let own = masque_tools::builtin_specs().into_iter().filter(move |spec| calls || spec.place != Place::Run);
    let own = own.map(|spec| (spec.name, spec.effect));
    let has_skills = !persona.skills.is_empty();
    let remembers = !persona.memory.scopes.is_empty();
    let own = own.filter(move |(name, _)| has_skills || name != masque_tools::host::skill::NAME);
    let own = own.filter(move |(name, _)| remembers || !is_memory(name));
    let servers = persona.mcp_servers.iter().flat_map(|(server, settings)| {
        let named = settings.effects.iter().map(move |(tool, effect)| (format!("mcp:{server}/{tool}"), *effect));
        named.chain([(format!("mcp:{server}/*"), EffectClass::default())])
    });
    own.chain(servers)
}

/// Whether a tool is one of those that only a persona with a memory has.
fn is_memory(name: &str) -> bool {
    [masque_tools::host::memory::SEARCH, masque_tools::host::memory::ADD].contains(&name)
}

/// One built-in tool.
///
/// # Errors
/// When there is none of that name.
pub fn find(name: &str) -> Result<ToolView, Error> {
    let mut all = masque_tools::builtin_specs().into_iter().chain([search_spec(), describe_spec()]);
    let spec = all.find(|spec| spec.name == name);
    spec.map(|spec| ToolView { spec, decision: None })
        .ok_or_else(|| Error::usage(format!("there is no built-in tool `{name}`")).hint("`masque tool list` shows all"))
}

/// Serves the built-in tools on standard input and output; the argument says which workspace, as JSON.
///
/// # Errors
/// When the argument is wrong, the workspace cannot be opened, or the connection breaks.
pub async fn serve(config: &str) -> Result<(), Error> {
    let config = ToolServerConfig::parse(config).map_err(|error| Error::usage(error.to_string()))?;
    server::serve(config).await.map_err(|error| Error::environment(error.to_string()))
}

fn decide(policy: &Policy, spec: &ToolSpec) -> Decision {
    let call = ToolCall {
        id: String::new(),
        tool: spec.name.clone(),
        arguments: serde_json::Value::Object(serde_json::Map::new()),
        signature: None,
    };
    policy.decide(&call, spec.effect)
}
