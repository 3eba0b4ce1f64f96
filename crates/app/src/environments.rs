//! Activates persona environments: sandbox, tool server, MCP servers, host tools.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use masque_engine::environment::{Activation, ActiveEnvironment, Environments};
use masque_sandbox::Launcher;
use masque_store::Store;
use masque_tools::{
    environment::{self, Containers, Environment, EnvironmentSpec},
    host::{
        HostTool,
        discovery::{Discovery, ToolFinder},
        fetch::{FetchLimits, WebFetch},
        memory::{Memory, MemoryTool},
        result::{ResultRead, ResultReader},
        standard::{StandardTool, Standards},
    },
};
use masque_types::{
    BoxFuture,
    diagnostic::Diagnostic,
    digest::Digest,
    event::EventBody,
    id::RunId,
    persona::Persona,
    policy::Policy,
    run::SandboxMode,
    tool::{Invocation, ProbeAnswer, ToolOutput, ToolSpec, Toolbox},
};
use tokio::{sync::Mutex, task::JoinSet};

use crate::{
    App, authority,
    border::{self, Log},
    clock::SystemClock,
    discovery::Finder,
    host::Host,
    logins::SealedLogins,
    memory,
    secrets::{self, Standing},
    standards::Desk,
};

/// How often a running environment looks whether its secrets were taken back.
const LEASE_CHECK: Duration = Duration::from_secs(1);

/// Activates environments on this machine.
pub(crate) struct LocalEnvironments {
    pub(crate) host: Host,
    pub(crate) launcher: Launcher,
    pub(crate) store: Store,
    pub(crate) clock: Arc<SystemClock>,
    pub(crate) containers: Arc<Containers>,
    /// For the tools that are use cases of Masque itself.
    pub(crate) app: App,
    pub(crate) finder: Arc<Finder>,
    /// More tools of servers than this are looked for instead of shown; absent when all are always shown.
    pub(crate) hide_above: Option<usize>,
}

impl Environments for LocalEnvironments {
    fn activate(&self, activation: Activation) -> BoxFuture<'_, Result<Arc<dyn ActiveEnvironment>, String>> {
        Box::pin(async move {
            let wanted = Wanted {
                run: activation.run,
                persona: &activation.persona,
                policy: &activation.spec.policy,
                workspace: PathBuf::from(&activation.spec.workspace),
                mode: activation.spec.sandbox,
                pinned: activation.pinned.as_deref(),
            };
            Ok(Arc::new(self.start(wanted).await?) as Arc<dyn ActiveEnvironment>)
        })
    }
}

/// What an environment is to be.
pub(crate) struct Wanted<'a> {
    pub(crate) run: RunId,
    pub(crate) persona: &'a Persona,
    pub(crate) policy: &'a Policy,
    pub(crate) workspace: PathBuf,
    pub(crate) mode: SandboxMode,
    pub(crate) pinned: Option<&'a [ToolSpec]>,
}

impl LocalEnvironments {
    /// Starts a persona's environment as a run would, and stops it; gives what was noticed.
    pub(crate) async fn try_out(&self, wanted: Wanted<'_>) -> Result<Vec<Diagnostic>, String> {
        let active = self.start(wanted).await?;
        active.close().await;
        Ok(active.diagnostics)
    }

    /// The tools that a persona has, and what was noticed; its servers are started and stopped for it.
    pub(crate) async fn tools(&self, wanted: Wanted<'_>) -> Result<(Arc<[ToolSpec]>, Vec<Diagnostic>), String> {
        let active = self.start(wanted).await?;
        let tools = active.specs();
        active.close().await;
        Ok((tools, active.diagnostics))
    }

    async fn start(&self, wanted: Wanted<'_>) -> Result<Active, String> {
        let (persona, mut diagnostics) = self.permitted(wanted.persona)?;
        let persona = authority::under(wanted.policy, persona);
        // Read before the secrets: what is taken back from here on is noticed.
        let known = secrets::stamp(&self.host);
        let (held, notes) = secrets::held(&self.host, &persona).map_err(|error| error.to_string())?;
        diagnostics.extend(notes);
        let names: BTreeSet<String> = held.iter().map(|held| held.grant.name.clone()).collect();
        let log = Log {
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            run: wanted.run,
            persona: persona.name.clone(),
        };
        let border = border::Border::open(log);
        let host_tools = self.host_tools(&persona, &wanted.workspace)?;
        let spec = EnvironmentSpec {
            run: wanted.run,
            persona: &persona,
            policy: wanted.policy,
            workspace: wanted.workspace,
            mode: wanted.mode,
            launcher: self.launcher.clone(),
            masque: self.host.executable.clone(),
            host_tools,
            discovery: self.discovery(),
            private: vec![self.host.home.clone(), self.host.config.clone()],
            pinned: wanted.pinned,
            secrets: held,
            border: environment::Border::standard(border.observer()),
            hook_limit: environment::HOOK_LIMIT,
            containers: Some(Arc::clone(&self.containers)),
            cache: Some(self.host.home.join("cache/mcp")),
            logins: Some(SealedLogins::of(&self.host, &persona.name)),
        };
        let (environment, found) = match Environment::start(spec).await {
            Ok(started) => started,
            Err(error) => {
                border.close().await;
                return Err(error.to_string());
            }
        };
        diagnostics.extend(found);
        let environment = Arc::new(environment);
        let mut lease = JoinSet::new();
        if !names.is_empty() {
            lease.spawn(watch_secrets(self.host.clone(), persona, names, known, Arc::clone(&environment)));
        }
        Ok(Active { environment, diagnostics, lease: Mutex::new(lease), border: Mutex::new(Some(border)) })
    }

    /// The persona without what its project is not trusted with.
    fn permitted(&self, persona: &Persona) -> Result<(Persona, Vec<Diagnostic>), String> {
        let (persona, lost) = authority::permitted(&self.host, persona).map_err(|error| error.to_string())?;
        if lost.is_empty() {
            return Ok((persona, Vec::new()));
        }
        let lost = lost.join(", ");
        let what = format!("this persona comes with a project that is not trusted with it, and goes without: {lost}");
        let hint = "look at what the project brings, then: masque trust";
        let diagnostic = Diagnostic::warning(&persona.source, what).hint(hint);
        Ok((persona, vec![diagnostic]))
    }

    fn discovery(&self) -> Option<Discovery> {
        let finder: Arc<dyn ToolFinder> = Arc::<Finder>::clone(&self.finder);
        self.hide_above.map(|above| Discovery { above, finder })
    }

    fn host_tools(&self, persona: &Persona, workspace: &Path) -> Result<Vec<Arc<dyn HostTool>>, String> {
        let results = Arc::new(StoredResults(self.store.clone()));
        let hosts = environment::listed_hosts(persona).map_err(|error| error.to_string())?;
        let limits = FetchLimits { hosts, ..FetchLimits::default() };
        let desk: Arc<dyn Standards> = Arc::new(Desk::new(self.app.handle(), &persona.name, workspace));
        let mut tools: Vec<Arc<dyn HostTool>> =
            vec![Arc::new(WebFetch::new(limits)), Arc::new(ResultRead::new(results))];
        tools.extend(StandardTool::all(&desk));
        if !persona.memory.scopes.is_empty() {
            let desk = memory::desk::Desk::new(self.app.handle(), persona, workspace);
            let desk: Arc<dyn Memory> = Arc::new(desk.map_err(|error| error.to_string())?);
            tools.extend(MemoryTool::all(&desk));
        }
        Ok(tools)
    }
}

/// Takes the secrets back from a running environment as soon as one of them is not granted any more.
async fn watch_secrets(
    host: Host,
    persona: Persona,
    names: BTreeSet<String>,
    mut seen: secrets::Stamp,
    environment: Arc<Environment>,
) {
    loop {
        tokio::time::sleep(LEASE_CHECK).await;
        let now = secrets::stamp(&host);
        if now == seen {
            continue;
        }
        seen = now;
        let standings = secrets::standings(&host, &persona).unwrap_or_default();
        let granted = |name: &String| {
            standings.iter().any(|(grant, standing)| grant.name == *name && *standing == Standing::Granted)
        };
        if !names.iter().all(granted) {
            tracing::warn!(persona = %persona.name, "a secret was taken back: its programs lose the network");
            environment.revoke_secrets().await;
            return;
        }
    }
}

/// An environment of the tools crate, with what was noticed when it started.
struct Active {
    environment: Arc<Environment>,
    diagnostics: Vec<Diagnostic>,
    lease: Mutex<JoinSet<()>>,
    border: Mutex<Option<border::Border>>,
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
        Box::pin(async move {
            self.lease.lock().await.shutdown().await;
            self.environment.close().await;
            if let Some(border) = self.border.lock().await.take() {
                border.close().await;
            }
        })
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
