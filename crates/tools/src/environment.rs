//! What one activated persona has: its tools behind one door, its servers, and their end.
//!
//! Filtering happens twice, when tools are listed and when they are called: a name that was never listed reaches
//! nothing. Leaves out whether a call may be made and whether its arguments fit: the engine asks before it calls.

mod routes;
mod start;

use std::{path::PathBuf, sync::Arc};

use masque_sandbox::Launcher;
use masque_types::{
    BoxFuture,
    diagnostic::Diagnostic,
    persona::Persona,
    policy::Policy,
    run::SandboxMode,
    tool::{Invocation, ProbeAnswer, ToolOutput, ToolSpec, Toolbox},
};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::{Error, host::HostTool, mcp};
use routes::Routes;

/// What an environment is made of.
pub struct EnvironmentSpec<'a> {
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
    /// The tools as they were when the run started; absent for a new run. A tool that is another one now, or was not
    /// among them, is not offered.
    pub pinned: Option<&'a [ToolSpec]>,
}

/// The tools of one activated persona.
pub struct Environment {
    specs: Arc<[ToolSpec]>,
    routes: Routes,
    tool_server: Option<Arc<mcp::Server>>,
    sources: Vec<Arc<mcp::Source>>,
    /// The home directory of programs that run without a sandbox.
    home: Mutex<Option<TempDir>>,
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

    /// Ends all servers and waits until they are gone. Later calls are refused.
    pub async fn close(&self) {
        let sources = futures::future::join_all(self.sources.iter().map(|source| source.close()));
        let tool_server = async {
            if let Some(server) = &self.tool_server {
                server.close().await;
            }
        };
        futures::join!(sources, tool_server);
        if let Some(home) = self.home.lock().await.take()
            && let Err(error) = home.close()
        {
            tracing::warn!(%error, "a private temporary directory could not be removed");
        }
    }
}

impl Toolbox for Environment {
    fn specs(&self) -> Arc<[ToolSpec]> {
        Arc::clone(&self.specs)
    }

    fn call<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ToolOutput> {
        Box::pin(self.routes.call(self.tool_server.as_deref(), invocation))
    }

    fn probe<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ProbeAnswer> {
        Box::pin(self.routes.probe(self.tool_server.as_deref(), invocation))
    }
}
