//! Starting an environment: all servers at once, then what they offer, and what is left out and why.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use masque_types::{
    diagnostic::Diagnostic,
    persona::{Forms, McpServer, Persona},
    policy::Policy,
    tool::ToolSpec,
};
use serde_json::json;
use tokio::sync::Mutex;

use super::{Environment, EnvironmentSpec, ground::Ground, network, offered::Offered};
use crate::{
    Error, builtin,
    hooks::When,
    mcp::{self, How, Source, StartFailure},
    program::StartError,
};

/// How long the tool server may take to come up: it needs milliseconds, a loaded machine more.
const TOOL_SERVER_LIMIT: Duration = Duration::from_secs(30);

pub(super) async fn start(spec: EnvironmentSpec<'_>) -> Result<(Environment, Vec<Diagnostic>), Error> {
    let mut ground = Ground::prepare(&spec)?;
    let mut offered = Offered::new(spec.policy);
    offered.diagnostics.extend(secret_notes(&spec, &mut ground));
    let broker = ground.open(&spec).await?;
    let hooks = ground.hooks(&spec)?;
    let has_builtin = builtin::ALL.iter().any(|tool| spec.policy.has_tool(tool.name, tool.effect));
    let tool_server = async {
        if has_builtin { start_tool_server(&ground, spec.persona, spec.policy).await.map(Some) } else { Ok(None) }
    };
    let servers = spec.persona.mcp_servers.iter();
    let sources =
        futures::future::join_all(servers.map(|(name, settings)| start_source(&ground, &spec, name, settings)));
    let (tool_server, sources) = futures::join!(tool_server, sources);
    let mut kept = Vec::new();
    let mut failed = tool_server.as_ref().err().is_some();
    for ((name, _), started) in spec.persona.mcp_servers.iter().zip(sources) {
        match started {
            Ok((source, diagnostics)) => {
                offered.diagnostics.extend(diagnostics);
                let source = Arc::new(source);
                offered.add_source(&source);
                kept.push(source);
            }
            Err(StartFailure::Program(StartError::Sandbox(source @ masque_sandbox::Error::Mechanism { .. })))
                if !failed =>
            {
                failed = true;
                offered.fatal = Some(Error::Sandbox { server: format!("mcp:{name}"), source });
            }
            Err(failure) => offered.add_failure(spec.persona, name, &failure),
        }
    }
    offered.add_own(&spec);
    offered.add_discovery(&spec);
    offered.pin(spec.persona, spec.pinned);
    let fatal = offered.fatal.take();
    let (tool_server, error) = match tool_server {
        Ok(server) => (server.map(Arc::new), fatal),
        Err(error) => (None, Some(error)),
    };
    let specs: Vec<ToolSpec> = offered.specs.into_values().collect();
    let environment = Environment {
        specs: specs.into(),
        routes: offered.routes,
        tool_server,
        sources: kept,
        hooks: Mutex::new(hooks.map(Arc::new)),
        secrets: ground.secrets,
        broker: Mutex::new(broker),
        house: ground.house,
        closed: AtomicBool::new(false),
        directories: Mutex::new(ground.home.into_iter().chain(ground.files).collect()),
    };
    if let Some(error) = error {
        // What did start must not outlive the failure; it never was active, so nobody is told that it ends.
        environment.end().await;
        return Err(error);
    }
    let mut diagnostics = offered.diagnostics;
    let hooks = environment.hooks.lock().await.clone();
    if let Some(hooks) = hooks {
        let problem = hooks.told(When::Activate, json!({})).await;
        diagnostics.extend(problem.map(|problem| Diagnostic::warning(&spec.persona.source, problem)));
    }
    for diagnostic in &mut diagnostics {
        diagnostic.message = environment.secrets.scrub(&diagnostic.message);
    }
    Ok((environment, diagnostics))
}

/// What people should know about the secrets: those that programs see, and those that cannot be used.
fn secret_notes(spec: &EnvironmentSpec<'_>, ground: &mut Ground) -> Vec<Diagnostic> {
    let lost = if ground.has_broker(spec.persona) { Vec::new() } else { ground.secrets.without_broker() };
    let note = |message| Diagnostic::warning(&spec.persona.source, message);
    let lost = lost.into_iter().map(|name| {
        note(format!("secret `{name}` cannot be used: it is put in at the border of a sandbox with a list of hosts"))
            .hint("list its hosts in `masque.sandbox.net.allow`, and do not run without sandbox")
    });
    let unreachable = network::unreachable(spec.persona, &ground.secrets).into_iter();
    let unreachable = unreachable
        .map(|(name, host)| note(format!("secret `{name}` is bound to {host}, which `net.allow` does not list")));
    let exposed = ground.secrets.exposed().into_iter();
    let exposed = exposed.map(|name| note(format!("secret `{name}` stands in the environment of a program as it is")));
    lost.chain(unreachable).chain(exposed).collect()
}

async fn start_tool_server(ground: &Ground, persona: &Persona, policy: &Policy) -> Result<mcp::Server, Error> {
    let name = "the tool server".to_owned();
    let how = ground.tool_server(persona, policy)?;
    mcp::Server::start(name.clone(), how, Forms::Decline, TOOL_SERVER_LIMIT).await.map_err(|failure| match failure {
        StartFailure::Program(StartError::Sandbox(source)) => Error::Sandbox { server: name, source },
        StartFailure::Program(StartError::Container(source)) => Error::Container(source),
        failure @ (StartFailure::Server(_) | StartFailure::Login { .. }) => {
            Error::Start { server: name, reason: failure.to_string() }
        }
    })
}

async fn start_source(
    ground: &Ground,
    spec: &EnvironmentSpec<'_>,
    name: &str,
    settings: &McpServer,
) -> Result<(Source, Vec<Diagnostic>), StartFailure> {
    let how = ground.source(name, settings)?;
    if let (How::Http { url, .. }, Some(rules)) = (&how, &ground.hosts) {
        let listed = url::Url::parse(url).is_ok_and(|url| network::allows(rules, &url));
        if !listed {
            return Err(StartFailure::Server(format!("{url} is not among the hosts of `net.allow`")));
        }
    }
    Source::start(name, &spec.persona.source, settings, how, spec.cache.as_deref()).await
}
