//! What one activated persona has: its tools behind one door, its servers, and their end.
//!
//! Filtering happens twice, when tools are listed and when they are called: a name that was never listed reaches
//! nothing. Leaves out whether a call may be made and whether its arguments fit: the engine asks before it calls.

pub(crate) mod container;
mod ground;
pub(crate) mod network;
mod offered;
mod routes;
mod secrets;
mod start;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use masque_egress::Broker;
use masque_sandbox::Launcher;
use masque_types::{
    BoxFuture,
    diagnostic::Diagnostic,
    id::RunId,
    persona::Persona,
    policy::Policy,
    run::SandboxMode,
    tool::{Invocation, ProbeAnswer, ToolOutput, ToolSpec, Toolbox},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::{
    Error,
    hooks::{Hooks, When},
    host::{HostTool, discovery::Discovery},
    mcp::{self, login::Logins},
};
use container::SharedHouse;
use routes::Routes;
use secrets::Secrets;

pub use container::Containers;
pub use network::{Border, listed as listed_hosts};
pub use secrets::HeldSecret;

/// How long a hook may take when nothing else is said.
pub const HOOK_LIMIT: Duration = crate::hooks::HOOK_LIMIT;

/// What an environment is made of.
pub struct EnvironmentSpec<'a> {
    /// The run that it is for; hooks are told.
    pub run: RunId,
    /// Whose environment it is.
    pub persona: &'a Persona,
    /// What it may do.
    pub policy: &'a Policy,
    /// The directory that the tools work in.
    pub workspace: PathBuf,
    /// How programs are confined.
    pub mode: SandboxMode,
    /// What starts programs.
    pub launcher: Launcher,
    /// The executable that serves the built-in tools: `masque`.
    pub masque: PathBuf,
    /// Masque's own directories: where they lie in the workspace, programs can neither read nor change them.
    pub private: Vec<PathBuf>,
    /// Tools that run inside Masque.
    pub host_tools: Vec<Arc<dyn HostTool>>,
    /// When tools are looked for instead of shown; without it all are shown.
    pub discovery: Option<Discovery>,
    /// The tools as they were when the run started; absent for a new run. A tool that is another one now, or was not
    /// among them, is not offered.
    pub pinned: Option<&'a [ToolSpec]>,
    /// The secrets that the user granted to the persona, with their values.
    pub secrets: Vec<HeldSecret>,
    /// How the way out is kept, when the persona lists hosts.
    pub border: Border,
    /// How long a hook may take: [`HOOK_LIMIT`].
    pub hook_limit: Duration,
    /// What starts containers; needed for [`SandboxMode::Container`] only.
    pub containers: Option<Arc<Containers>>,
    /// Where the tools of lazily started servers are remembered; without it they are asked for each time.
    pub cache: Option<PathBuf>,
    /// The persona's logins to MCP servers over HTTP.
    pub logins: Option<Arc<dyn Logins>>,
}

/// The tools of one activated persona.
pub struct Environment {
    specs: Arc<[ToolSpec]>,
    routes: Routes,
    tool_server: Option<Arc<mcp::Server>>,
    sources: Vec<Arc<mcp::Source>>,
    hooks: Mutex<Option<Arc<Hooks>>>,
    secrets: Secrets,
    /// The way out; programs reach nothing without.
    broker: Mutex<Option<Broker>>,
    house: Option<SharedHouse>,
    closed: AtomicBool,
    /// Private directories that end with the environment.
    directories: Mutex<Vec<TempDir>>,
}

impl Environment {
    /// Starts everything that the persona has, all at once. A server of the persona that does not start is a
    /// diagnostic and its tools are absent.
    ///
    /// # Errors
    /// When the workspace cannot be used, the sandbox cannot be enforced, or the tool server does not start.
    pub async fn start(spec: EnvironmentSpec<'_>) -> Result<(Self, Vec<Diagnostic>), Error> {
        start::start(spec).await
    }

    /// Tells the persona's hook, ends all servers and waits until they are gone. Later calls are refused.
    pub async fn close(&self) {
        let hooks = self.hooks.lock().await.clone();
        if let Some(hooks) = hooks
            && let Some(problem) = hooks.told(When::Deactivate, json!({})).await
        {
            tracing::warn!("{problem}");
        }
        self.end().await;
    }

    /// Takes the secrets back: the way out is closed, and where a program has seen a value, all programs are ended.
    pub async fn revoke_secrets(&self) {
        self.close_network().await;
        if !self.secrets.exposed().is_empty() {
            self.end().await;
        }
    }

    async fn close_network(&self) {
        if let Some(broker) = self.broker.lock().await.take() {
            broker.close().await;
        }
    }

    async fn end(&self) {
        self.closed.store(true, Ordering::Release);
        if let Some(hooks) = self.hooks.lock().await.take() {
            // Their waiting sandboxes end with them, which blocks for a moment. A call under way may keep them a little.
            let _ = tokio::task::spawn_blocking(move || drop(hooks)).await;
        }
        let sources = futures::future::join_all(self.sources.iter().map(|source| source.close()));
        let tool_server = async {
            if let Some(server) = &self.tool_server {
                server.close().await;
            }
        };
        futures::join!(sources, tool_server);
        self.close_network().await;
        if let Some(house) = &self.house {
            house.leave().await;
        }
        for directory in self.directories.lock().await.drain(..) {
            if let Err(error) = directory.close() {
                tracing::warn!(%error, "a private temporary directory could not be removed");
            }
        }
    }

    /// One call, with the guard before it and the hook after it.
    async fn guarded(&self, invocation: &Invocation) -> ToolOutput {
        let hooks = self.hooks.lock().await.clone();
        // Looked at after the hooks: an environment that closes drops its guard, and then nothing is called.
        if self.closed.load(Ordering::Acquire) {
            return ToolOutput::error("the persona's environment is closed; nothing can be called any more");
        }
        let Some(hooks) = hooks else {
            return self.secrets.scrub_output(self.routes.call(self.tool_server.as_deref(), invocation).await);
        };
        if let Err(reason) = hooks.guard(invocation).await {
            return ToolOutput::error(self.secrets.scrub(&reason));
        }
        let output = self.routes.call(self.tool_server.as_deref(), invocation).await;
        let output = self.secrets.scrub_output(output);
        hooks.after(invocation, &output).await;
        output
    }
}

impl Toolbox for Environment {
    fn specs(&self) -> Arc<[ToolSpec]> {
        Arc::clone(&self.specs)
    }

    fn call<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ToolOutput> {
        Box::pin(self.guarded(invocation))
    }

    fn probe<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ProbeAnswer> {
        Box::pin(self.routes.probe(self.tool_server.as_deref(), invocation))
    }
}
