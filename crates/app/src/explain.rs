//! What a persona may do here, what it may not, and why: the answer of every layer of its policy, the sandbox, the
//! network, its secrets, its limits, and what it loses while its project is not trusted. Starts nothing.

use masque_types::{
    cost::Limits,
    diagnostic::Diagnostic,
    message::ToolCall,
    persona::{Persona, SecretGrant},
    policy::{Decision, LayerDecision, Mode, Policy, Rule, is_among},
    run::SandboxMode,
    tool::EffectClass,
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    Error, authority,
    config::Settings,
    host::Host,
    secrets::{self, Standing},
};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Whom it is about.
    pub persona: &'a Persona,
    /// The persona that calls it; absent when a person starts it.
    pub caller: Option<&'a Persona>,
    /// What the person denies.
    pub ceiling: &'a [Rule],
}

/// What a persona may do.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// Its name.
    pub persona: String,
    /// Where it comes from.
    pub source: String,
    /// The persona that calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The mode that holds.
    pub mode: Mode,
    /// Its tools with what is done about a call without arguments.
    pub tools: Vec<ToolAnswer>,
    /// How its programs are confined, or why that cannot be.
    pub sandbox: String,
    /// What they may write, in words.
    pub writes: String,
    /// What they reach of the network, in words.
    pub network: String,
    /// Its secrets.
    pub secrets: Vec<SecretAnswer>,
    /// What a run of it may use.
    pub limits: Limits,
    /// Personas that it may call, by name or pattern.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<String>,
    /// When its hooks run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<&'static str>,
    /// What it goes without because its project is not trusted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<&'static str>,
}

/// What is done about one tool.
#[derive(Debug, Clone, Serialize)]
pub struct ToolAnswer {
    /// The tool, or a pattern for all tools of a server.
    pub tool: String,
    /// What a crash in a call means.
    pub effect: EffectClass,
    /// Whether the model sees it.
    pub visible: bool,
    /// What is done and why.
    #[serde(flatten)]
    pub decision: Decision,
}

/// Where a persona stands with one secret.
#[derive(Debug, Clone, Serialize)]
pub struct SecretAnswer {
    /// What its file says.
    #[serde(flatten)]
    pub grant: SecretGrant,
    /// Whether it may use it.
    pub standing: Standing,
}

/// What is done about one call.
#[derive(Debug, Clone, Serialize)]
pub struct CallAnswer {
    /// The persona.
    pub persona: String,
    /// The answer.
    #[serde(flatten)]
    pub answer: ToolAnswer,
    /// What every layer says that has a say.
    pub layers: Vec<LayerDecision>,
}

/// What a persona may do.
///
/// # Errors
/// When the list of trusted projects, the project's content or the secrets cannot be read, or the caller may not call
/// the persona.
pub fn explain(host: &Host, settings: &Settings, question: &Question<'_>) -> Result<Explanation, Error> {
    let (persona, lost) = authority::permitted(host, question.persona)?;
    let policy = policy(host, settings, question)?;
    let persona = authority::under(&policy, persona);
    let sandbox = authority::sandbox_of(host, settings, &persona, settings.sandbox());
    let mut tools: Vec<ToolAnswer> = crate::tools::known(&persona)
        .map(|(tool, effect)| answer(&policy, &call(&tool, Value::Null), effect))
        .collect();
    tools.sort_by(|one, other| other.visible.cmp(&one.visible).then_with(|| one.tool.cmp(&other.tool)));
    let standings = secrets::standings(host, &persona)?;
    Ok(Explanation {
        caller: question.caller.map(|caller| caller.name.clone()),
        mode: policy.mode,
        tools,
        writes: writes(&persona),
        network: network(&persona, &sandbox),
        sandbox: match sandbox {
            Ok(mode) => mode.name().to_owned(),
            Err(error) => error.message,
        },
        secrets: standings.into_iter().map(|(grant, standing)| SecretAnswer { grant, standing }).collect(),
        limits: settings.limits().tightest(persona.budget),
        calls: persona.delegate.to.clone(),
        hooks: masque_tools::hook_times(&persona.hooks),
        lost,
        persona: persona.name,
        source: persona.source,
    })
}

/// What is done about one call, and what every layer says of it.
///
/// # Errors
/// As for [`explain`].
pub fn explain_call(
    host: &Host,
    settings: &Settings,
    question: &Question<'_>,
    tool: &str,
    arguments: Value,
) -> Result<CallAnswer, Error> {
    let policy = policy(host, settings, question)?;
    let effect = effect(question.persona, tool);
    let call = call(tool, arguments);
    let layers = policy.explain(&call, effect);
    Ok(CallAnswer { persona: question.persona.name.clone(), answer: answer(&policy, &call, effect), layers })
}

/// What could be wrong with the arguments of a question, as far as it can be seen without starting anything.
#[must_use]
pub fn remarks(persona: &Persona, tool: &str) -> Vec<Diagnostic> {
    let known = crate::tools::known(persona).any(|(known, _)| is_among(&[known], tool));
    let unknown =
        format!("there is no tool `{tool}` that Masque knows of; the answer is what the policy says of the name");
    let hint = "`masque tool list` shows the built-in tools, those of MCP servers are named mcp:<server>/<tool>";
    if known { Vec::new() } else { vec![Diagnostic::warning(&persona.source, unknown).hint(hint)] }
}

fn policy(host: &Host, settings: &Settings, question: &Question<'_>) -> Result<Policy, Error> {
    let Some(caller) = question.caller else {
        return authority::policy(host, settings, question.persona, question.ceiling);
    };
    let persona = question.persona;
    if !is_among(&caller.delegate.to, &persona.name) {
        let named = if caller.delegate.to.is_empty() { "nobody".to_owned() } else { caller.delegate.to.join(", ") };
        return Err(Error::refused(format!(
            "persona `{}` may not call `{}`: it may call {named}",
            caller.name, persona.name
        ))
        .hint("`masque: { delegate: { to: [ … ] } }` in its file says whom it may call"));
    }
    let callers = authority::policy(host, settings, caller, question.ceiling)?;
    authority::callee(host, &callers, &caller.delegate, persona)
}

fn answer(policy: &Policy, call: &ToolCall, effect: EffectClass) -> ToolAnswer {
    ToolAnswer {
        tool: call.tool.clone(),
        effect,
        visible: policy.has_tool(&call.tool, effect),
        decision: policy.decide(call, effect),
    }
}

fn call(tool: &str, arguments: Value) -> ToolCall {
    ToolCall { id: String::new(), tool: tool.to_owned(), arguments, signature: None }
}

/// The effect class, as far as it is known without asking a server.
fn effect(persona: &Persona, tool: &str) -> EffectClass {
    let of_server = || {
        let (server, name) = tool.strip_prefix("mcp:")?.split_once('/')?;
        persona.mcp_servers.get(server)?.effects.get(name).copied()
    };
    let builtin = masque_tools::builtin_specs().into_iter().find(|spec| spec.name == tool).map(|spec| spec.effect);
    builtin.or_else(of_server).unwrap_or_default()
}

fn writes(persona: &Persona) -> String {
    match &persona.sandbox.rw {
        None => "the workspace".to_owned(),
        Some(none) if none.is_empty() => "nothing".to_owned(),
        Some(directories) => directories.join(", "),
    }
}

fn network(persona: &Persona, mode: &Result<SandboxMode, Error>) -> String {
    match mode {
        Ok(SandboxMode::None) => "all of this machine's network: there is no sandbox".to_owned(),
        _ if persona.sandbox.network => "all of this machine's network".to_owned(),
        _ if persona.sandbox.hosts.is_empty() => "nothing".to_owned(),
        _ => persona.sandbox.hosts.join(", "),
    }
}
