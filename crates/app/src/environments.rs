//! Activates persona environments: sandbox, tool server, MCP servers, host tools.

use std::{path::PathBuf, sync::Arc};

use masque_engine::environment::{Activation, ActiveEnvironment, Environments};
use masque_sandbox::Launcher;
use masque_store::Store;
use masque_tools::{
    environment::{Environment, EnvironmentSpec, HOOK_LIMIT},
    host::{
        HostTool,
        fetch::{FetchLimits, WebFetch},
        result::{ResultRead, ResultReader},
    },
};
use masque_types::{
    BoxFuture,
    diagnostic::Diagnostic,
    digest::Digest,
    event::EventBody,
    id::RunId,
    persona::Persona,
    tool::{Invocation, ProbeAnswer, ToolOutput, ToolSpec, Toolbox},
};

use crate::{authority, host::Host};

/// Activates environments on this machine.
pub(crate) struct LocalEnvironments {
    pub(crate) host: Host,
    pub(crate) launcher: Launcher,
    pub(crate) store: Store,
}

impl Environments for LocalEnvironments {
    fn activate(&self, activation: Activation) -> BoxFuture<'_, Result<Arc<dyn ActiveEnvironment>, String>> {
        Box::pin(async move {
            let (persona, mut diagnostics) = self.permitted(&activation)?;
            let spec = EnvironmentSpec {
                run: activation.run,
                persona: &persona,
                policy: &activation.spec.policy,
                workspace: PathBuf::from(&activation.spec.workspace),
                mode: activation.spec.sandbox,
                launcher: self.launcher.clone(),
                masque: self.host.executable.clone(),
                host_tools: self.host_tools(),
                private: vec![self.host.home.clone(), self.host.config.clone()],
                pinned: activation.pinned.as_deref(),
                secrets: Vec::new(),
                hook_limit: HOOK_LIMIT,
                cache: Some(self.host.home.join("cache/mcp")),
            };
            let (environment, found) = Environment::start(spec).await.map_err(|error| error.to_string())?;
            diagnostics.extend(found);
            Ok(Arc::new(Active { environment, diagnostics }) as Arc<dyn ActiveEnvironment>)
        })
    }
}

impl LocalEnvironments {
    /// The persona without what its project is not trusted with.
    fn permitted(&self, activation: &Activation) -> Result<(Persona, Vec<Diagnostic>), String> {
        let (persona, lost) =
            authority::permitted(&self.host, &activation.persona).map_err(|error| error.to_string())?;
        if lost.is_empty() {
            return Ok((persona, Vec::new()));
        }
        let what = format!(
            "this persona comes with a project that is not trusted with it and does not get: {}",
            lost.join(", ")
        );
        let hint = "look at what the project brings, then: masque trust";
        let diagnostic = Diagnostic::warning(&persona.source, what).hint(hint);
        Ok((persona, vec![diagnostic]))
    }

    fn host_tools(&self) -> Vec<Arc<dyn HostTool>> {
        let results = Arc::new(StoredResults(self.store.clone()));
        vec![Arc::new(WebFetch::new(FetchLimits::default())), Arc::new(ResultRead::new(results))]
    }
}

/// An environment of the tools crate, with what was noticed when it started.
struct Active {
    environment: Environment,
    diagnostics: Vec<Diagnostic>,
}

impl Toolbox for Active {
    fn specs(&self) -> Arc<[ToolSpec]> {
        self.environment.specs()
    }

    fn call<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ToolOutput> {
        self.environment.call(invocation)
    }

    fn probe<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ProbeAnswer> {
        self.environment.probe(invocation)
    }
}

impl ActiveEnvironment for Active {
    fn diagnostics(&self) -> Vec<Diagnostic> {
        self.diagnostics.clone()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.environment.close())
    }
}

/// Large results, read from the store. A run reads its own only.
struct StoredResults(Store);

impl ResultReader for StoredResults {
    fn read(&self, run: RunId, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, String>> {
        Box::pin(async move {
            let journal = self.0.journal(run, 0).await.map_err(|error| error.to_string())?;
            let own = journal.iter().any(|event| {
                matches!(&event.body, EventBody::ToolCallFinished { whole: Some(whole), .. } if whole.digest == digest)
            });
            if !own {
                return Ok(None);
            }
            self.0.blob(&digest).await.map_err(|error| error.to_string())
        })
    }
}
