//! The seam to a persona's activated environment: its tools, running.

use std::sync::Arc;

use masque_types::{
    BoxFuture,
    diagnostic::Diagnostic,
    id::RunId,
    persona::Persona,
    run::RunSpec,
    tool::{ToolSpec, Toolbox},
};

/// What an environment is activated for.
#[derive(Debug, Clone)]
pub struct Activation {
    /// The run.
    pub run: RunId,
    /// What is fixed for it.
    pub spec: Arc<RunSpec>,
    /// The persona version that it stays with.
    pub persona: Arc<Persona>,
    /// The tools that it stays with; absent the first time.
    pub pinned: Option<Arc<[ToolSpec]>>,
}

/// A running environment. Its tools work until it is closed.
pub trait ActiveEnvironment: Toolbox {
    /// What is wrong though the environment works: an MCP server that did not start, for example.
    fn diagnostics(&self) -> Vec<Diagnostic>;

    /// Stops everything that was started, and waits for it. Calls under way end with an error output.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Something that activates environments.
pub trait Environments: Send + Sync {
    /// Sets the environment up.
    ///
    /// The error is for people: what could not be set up, and what to do.
    fn activate(&self, activation: Activation) -> BoxFuture<'_, Result<Arc<dyn ActiveEnvironment>, String>>;
}
