//! Activating a persona with three MCP servers: it should take as long as the slowest of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use masque_sandbox::{LandlockUse, Launcher, masque_path_inside};
use masque_tools::{
    environment::{Border, Environment, EnvironmentSpec, HOOK_LIMIT},
    server::ToolServerConfig,
};
use masque_types::{
    id::RunId,
    persona::{McpServer, McpTransport, Persona},
    policy::{Policy, ToolSelection},
    run::SandboxMode,
};
use tempfile::TempDir;

use crate::{
    figures::{Row, Section, Unit},
    job,
    places::Places,
    statistics::median_ms,
};

const ROUNDS: usize = 15;
/// How long each server takes before it answers.
const STARTS: [(&str, Duration); 3] = [
    ("quick", Duration::from_millis(100)),
    ("middle", Duration::from_millis(200)),
    ("slow", Duration::from_millis(400)),
];

/// Measures activations with all servers, and with the slowest alone.
pub(crate) fn measure(places: &Places) -> anyhow::Result<Section> {
    let workspace = tempfile::tempdir()?;
    let runtime = job::runtime()?;
    let (mut all, mut slowest) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        all.push(runtime.block_on(activate(places, &workspace, &STARTS))?);
        slowest.push(runtime.block_on(activate(places, &workspace, STARTS.get(2..).unwrap_or_default()))?);
    }
    let (ours, alone) = (median_ms(&all), median_ms(&slowest));
    Ok(Section {
        title: "Activation",
        command: "make bench ARGS=activation",
        about: format!(
            "A persona's environment from nothing to tools that can be called: the tool server and three MCP servers, each \
             in a sandbox of its own, which answer after 100, 200 and 400 ms; beside it the slowest alone. Medians of \
             {ROUNDS}, taken in turn."
        ),
        rows: vec![
            Row::new("three MCP servers", Unit::Milliseconds, ours).beside("the slowest alone", Ok(alone)),
            Row::new("as a share of the slowest", Unit::Share, ours / alone).at_most(1.1),
        ],
    })
}

async fn activate(
    places: &Places,
    workspace: &TempDir,
    servers: &[(&'static str, Duration)],
) -> anyhow::Result<Duration> {
    let config = serde_json::to_string(&ToolServerConfig::new(workspace.path().canonicalize()?))?;
    let server = |delay: Duration| {
        let program = masque_path_inside().display();
        let script = format!("sleep {}; exec {program} tool-server \"$0\"", delay.as_secs_f64());
        let args = vec!["-c".to_owned(), script, config.clone()];
        McpServer::new(McpTransport::Stdio { command: "/bin/sh".to_owned(), args, env: [].into() })
    };
    let persona = Persona {
        tools: ToolSelection::Only(vec!["*".to_owned()]),
        mcp_servers: servers.iter().map(|(name, delay)| ((*name).to_owned(), server(*delay))).collect(),
        ..Persona::new("bench")
    };
    let policy = Policy::of(&persona);
    let begun = Instant::now();
    let (environment, diagnostics) = Environment::start(EnvironmentSpec {
        run: RunId::from_uuid(uuid::Uuid::now_v7()),
        persona: &persona,
        policy: &policy,
        workspace: workspace.path().to_owned(),
        mode: SandboxMode::Process,
        launcher: Launcher::detect(LandlockUse::IfPresent),
        masque: places.masque.clone(),
        private: Vec::new(),
        host_tools: Vec::new(),
        discovery: None,
        pinned: None,
        secrets: Vec::new(),
        border: Border::standard(Arc::new(|_| {})),
        hook_limit: HOOK_LIMIT,
        containers: None,
        cache: None,
        logins: None,
    })
    .await?;
    let elapsed = begun.elapsed();
    environment.close().await;
    anyhow::ensure!(diagnostics.is_empty(), "the environment is not whole: {diagnostics:?}");
    Ok(elapsed)
}
