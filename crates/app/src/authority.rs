//! What a persona may do here: its policy under what the person asked for, and what it loses while the project that it
//! came with is not trusted.
//!
//! Leaves out deciding about calls, which is [`Policy`]'s, and enforcing, which is the environment's.

use masque_tools::host::fetch;
use masque_types::{
    child,
    persona::{Backend, Delegation, Hooks, McpTransport, Persona},
    policy::{Mode, Policy, Rule, Verdict},
    run::SandboxMode,
};

use crate::{
    Error,
    config::{Layer, Settings},
    host::Host,
    trust,
};

/// The policy of a run that a person starts: the persona's own under the person's ceiling, in the mode that the person
/// asked for. A persona that comes with a project that is not trusted gets no wider mode than the default one, and does
/// not reach out without a question: what it read here could go with it.
///
/// # Errors
/// When the list of trusted projects or the project's content cannot be read.
pub(crate) fn policy(host: &Host, settings: &Settings, persona: &Persona, ceiling: &[Rule]) -> Result<Policy, Error> {
    let mut policy = Policy { ceiling: ceiling.to_vec(), ..Policy::of(persona) };
    restrict(host, persona, &mut policy)?;
    if let Some(asked) = settings.mode() {
        policy.mode = asked;
    }
    if settings.is_offline() {
        policy.offline = true;
        policy.narrow(Rule::new(fetch::NAME, Verdict::Deny));
    }
    Ok(policy)
}

/// The policy of a persona that another one calls: never more than the caller's ceiling, mode and grants allow.
///
/// # Errors
/// As for [`policy`].
pub(crate) fn callee(
    host: &Host,
    caller: &Policy,
    delegation: &Delegation,
    persona: &Persona,
) -> Result<Policy, Error> {
    let mut policy = caller.for_callee(persona, delegation.grants.as_deref());
    restrict(host, persona, &mut policy)?;
    Ok(policy)
}

/// Takes away what a persona must not get by calling: one of a project that is not trusted could have what it goes
/// without itself done by one of the user's. Whatever the called one has of that kind, each of its calls is asked for, and
/// so is calling on.
///
/// # Errors
/// As for [`policy`].
pub(crate) fn restrict_called(
    host: &Host,
    caller: &Persona,
    persona: &Persona,
    policy: &mut Policy,
) -> Result<(), Error> {
    if trust::is_persona_trusted(host, caller)? || !trust::is_persona_trusted(host, persona)? {
        return Ok(());
    }
    let asked: &[&str] = if widening(persona).is_empty() { &[child::CALL, child::HANDOFF] } else { &["*"] };
    for tool in asked {
        policy.narrow(Rule::new(*tool, Verdict::Ask));
    }
    Ok(())
}

fn restrict(host: &Host, persona: &Persona, policy: &mut Policy) -> Result<(), Error> {
    if !trust::is_persona_trusted(host, persona)? {
        policy.mode = policy.mode.min(Mode::Default);
        policy.narrow(Rule::new(fetch::NAME, Verdict::Ask));
    }
    Ok(())
}

/// The persona without what its project is not trusted with, and what that is, in words.
///
/// # Errors
/// As for [`policy`].
pub(crate) fn permitted(host: &Host, persona: &Persona) -> Result<(Persona, Vec<&'static str>), Error> {
    let widening = widening(persona);
    if widening.is_empty() || trust::is_persona_trusted(host, persona)? {
        return Ok((persona.clone(), Vec::new()));
    }
    let mut persona = persona.clone();
    persona.mcp_servers.clear();
    persona.hooks = Hooks::default();
    persona.secrets.clear();
    persona.sandbox.ro.clear();
    persona.sandbox.network = false;
    persona.sandbox.hosts.clear();
    persona.sandbox.backend = Backend::Auto;
    persona.sandbox.container = None;
    Ok((persona, widening))
}

/// The persona as it is in a run of that policy: without what the ceiling takes from its programs.
pub(crate) fn under(policy: &Policy, mut persona: Persona) -> Persona {
    if policy.offline {
        persona.secrets.clear();
        persona.sandbox.network = false;
        persona.sandbox.hosts.clear();
        persona.mcp_servers.retain(|_, server| matches!(server.transport, McpTransport::Stdio { .. }));
    }
    persona
}

/// What of a persona widens its rights or starts programs of its own.
fn widening(persona: &Persona) -> Vec<&'static str> {
    let sandbox = &persona.sandbox;
    let parts = [
        (!persona.mcp_servers.is_empty(), "MCP servers"),
        (!persona.hooks.is_empty(), "hooks"),
        (!persona.secrets.is_empty(), "secrets"),
        (!sandbox.ro.is_empty(), "paths outside the workspace"),
        (sandbox.network || !sandbox.hosts.is_empty(), "the network"),
        (wants_container(persona), "its container"),
    ];
    parts.into_iter().filter(|(wanted, _)| *wanted).map(|(_, what)| what).collect()
}

fn wants_container(persona: &Persona) -> bool {
    match persona.sandbox.backend {
        Backend::Process => false,
        Backend::Container => true,
        Backend::Auto => persona.sandbox.container.is_some(),
    }
}

/// How the programs of a persona are confined: as the person says, else as the persona's file says. `wanted` is what the
/// caller would take.
///
/// # Errors
/// As for [`policy`], and when a container is wanted without an image.
pub(crate) fn sandbox_of(
    host: &Host,
    settings: &Settings,
    persona: &Persona,
    wanted: SandboxMode,
) -> Result<SandboxMode, Error> {
    let option = settings.all().find(|resolved| resolved.option.key == "sandbox.mode");
    let is_asked = option.is_some_and(|resolved| resolved.layer != Layer::BuiltIn);
    let mode = match wanted {
        SandboxMode::Process if !is_asked && wants_container(&permitted(host, persona)?.0) => SandboxMode::Container,
        mode => mode,
    };
    if mode == SandboxMode::Container && persona.sandbox.container.is_none() {
        return Err(Error::usage(format!("persona `{}` names no container image", persona.name))
            .hint("add `masque: { sandbox: { container: { image: NAME } } }` to its file, or use --sandbox process"));
    }
    Ok(mode)
}

#[cfg(test)]
mod tests {
    use masque_types::{
        message::ToolCall,
        persona::{Injection, McpServer, SecretGrant},
        policy::ToolSelection,
        tool::EffectClass,
    };

    use super::*;

    /// The verdict on a call of a persona that another one called.
    fn verdict(host: &Host, caller: &Persona, called: &Persona, tool: &str) -> Verdict {
        let mut policy = Policy::of(caller).for_callee(called, None);
        restrict_called(host, caller, called, &mut policy).unwrap();
        let call = ToolCall { id: "c".into(), tool: tool.into(), arguments: ().into(), signature: None };
        policy.decide(&call, EffectClass::Once).verdict
    }

    #[test]
    fn a_stranger_does_not_use_what_the_users_personas_have() {
        let root = tempfile::tempdir().unwrap();
        let host = Host::for_tests(root.path());
        let persona =
            |source: String| Persona { source, tools: ToolSelection::Only(vec!["*".to_owned()]), ..Persona::new("p") };
        let strange = persona(root.path().join("project/.agents/agents/p.md").display().to_string());
        let users = persona(host.config.join("agents/p.md").display().to_string());
        let mut deployer = users.clone();
        deployer.sandbox.hosts = vec!["api.example.org".to_owned()];
        let ask = |caller, called, tool| verdict(&host, caller, called, tool) == Verdict::Ask;
        assert!(ask(&strange, &deployer, "shell.exec") && ask(&strange, &deployer, "fs.read"));
        assert!(ask(&strange, &users, child::CALL) && !ask(&strange, &users, "shell.exec"));
        assert!(!ask(&users, &deployer, "shell.exec") && !ask(&users, &deployer, child::CALL));
        assert!(!ask(&strange, &strange, "shell.exec") && !ask(&strange, &strange, child::CALL));
    }

    #[test]
    fn a_run_without_network_takes_it_from_what_it_calls_too() {
        let grant = SecretGrant { name: "TOKEN".into(), inject: Injection::Header, hosts: vec!["a.org".into()] };
        let http = McpServer::new(McpTransport::Http { url: "https://a.org/mcp".into(), headers: [].into() });
        let mut persona = Persona { mcp_servers: [("a".to_owned(), http)].into(), ..Persona::new("callee") };
        persona.secrets.push(grant);
        persona.sandbox.hosts.push("a.org:443".into());
        let caller = Policy { offline: true, ..Policy::default() };
        let left = under(&caller.for_callee(&persona, None), persona.clone());
        assert!(left.secrets.is_empty() && left.sandbox.hosts.is_empty() && left.mcp_servers.is_empty());
        assert_eq!(under(&Policy::of(&persona), persona.clone()), persona);
    }
}
