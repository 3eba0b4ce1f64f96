//! Starting an environment: what the persona has, all servers at once, and what is left out and why.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use masque_sandbox::{BUILT_IN_HIDDEN, Command, Launcher, Profile, masque_path_inside};
use masque_types::{
    diagnostic::Diagnostic,
    persona::{McpServer, McpTransport, Persona},
    policy::Policy,
    run::SandboxMode,
    tool::ToolSpec,
};
use tempfile::TempDir;

use super::{
    Environment, EnvironmentSpec,
    routes::{Route, Routes},
};
use crate::{
    Error, builtin,
    host::ask,
    mcp::{self, How, Source, StartFailure},
    profile,
    server::ToolServerConfig,
    workspace::Workspace,
};

/// How long the tool server may take to come up: it needs milliseconds, a loaded machine more.
const TOOL_SERVER_LIMIT: Duration = Duration::from_secs(30);
/// Where programs are looked for when they run without a sandbox.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

pub(super) async fn start(spec: EnvironmentSpec<'_>) -> Result<(Environment, Vec<Diagnostic>), Error> {
    let ground = Ground::prepare(&spec)?;
    let has_builtin = builtin::ALL.iter().any(|tool| spec.policy.has_tool(tool.name, tool.effect));
    let tool_server =
        async { if has_builtin { ground.start_tool_server(spec.persona).await.map(Some) } else { Ok(None) } };
    let sources = futures::future::join_all(
        spec.persona.mcp_servers.iter().map(|(name, settings)| ground.start_source(spec.persona, name, settings)),
    );
    let (tool_server, sources) = futures::join!(tool_server, sources);
    let mut offered = Offered::new(spec.policy);
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
            Err(StartFailure::Sandbox(error @ masque_sandbox::Error::Mechanism { .. })) if !failed => {
                failed = true;
                offered.fatal = Some(Error::Sandbox { server: format!("mcp:{name}"), source: error });
            }
            Err(failure) => offered.add_failure(spec.persona, name, &failure),
        }
    }
    offered.add_own(&spec);
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
        home: tokio::sync::Mutex::new(ground.home),
    };
    match error {
        None => Ok((environment, offered.diagnostics)),
        Some(error) => {
            // What did start must not outlive the failure.
            environment.close().await;
            Err(error)
        }
    }
}

/// What every program of an environment stands on.
struct Ground {
    launcher: Launcher,
    profile: Arc<Profile>,
    workspace: PathBuf,
    /// Masque's own directories in the workspace, relative to it.
    private: Vec<PathBuf>,
    masque: PathBuf,
    mode: SandboxMode,
    home: Option<TempDir>,
}

impl Ground {
    fn prepare(spec: &EnvironmentSpec<'_>) -> Result<Self, Error> {
        let failed = |source| Error::Workspace { path: spec.workspace.clone(), source };
        // The sandbox shows the workspace at its resolved path.
        let workspace = fs_err::canonicalize(&spec.workspace).map_err(failed)?;
        refuse_private(spec, &workspace)?;
        make_writable(spec.persona, &workspace)?;
        let home = match spec.mode {
            SandboxMode::Process => None,
            SandboxMode::None => {
                Some(tempfile::Builder::new().prefix("masque-home-").tempdir().map_err(Error::Temporary)?)
            }
        };
        let mut profile = profile::profile(spec.persona, &workspace, spec.mode, &spec.masque)?;
        let private = private(&workspace, &spec.private);
        profile.hidden.extend(private.iter().map(|path| hidden_pattern(path)));
        profile.read_only.extend(private.iter().cloned());
        Ok(Self {
            launcher: spec.launcher.clone(),
            profile: Arc::new(profile),
            workspace,
            private,
            masque: spec.masque.clone(),
            mode: spec.mode,
            home,
        })
    }

    async fn start_tool_server(&self, persona: &Persona) -> Result<mcp::Server, Error> {
        let program = match self.mode {
            SandboxMode::Process => masque_path_inside().to_path_buf(),
            SandboxMode::None => self.masque.clone(),
        };
        let config = server_config(persona, &self.workspace, &self.private)?;
        let config = serde_json::to_string(&config).map_err(Error::Configuration)?;
        let command = self.command(program.into(), vec!["tool-server".into(), config.into()], BTreeMap::new());
        let name = "the tool server".to_owned();
        mcp::Server::start(name.clone(), self.program(command), TOOL_SERVER_LIMIT).await.map_err(
            |failure| match failure {
                StartFailure::Sandbox(source) => Error::Sandbox { server: name, source },
                StartFailure::Server(reason) => Error::Start { server: name, reason },
            },
        )
    }

    async fn start_source(
        &self,
        persona: &Persona,
        name: &str,
        settings: &McpServer,
    ) -> Result<(Source, Vec<Diagnostic>), StartFailure> {
        let how = match &settings.transport {
            McpTransport::Stdio { command, args, env } => {
                let own = env.iter().map(|(name, value)| (name.into(), value.into())).collect();
                self.program(self.command(command.into(), args.iter().map(Into::into).collect(), own))
            }
            McpTransport::Http { url, headers } => {
                How::Http { url: url.clone(), headers: mcp::headers(headers).map_err(StartFailure::Server)? }
            }
        };
        Source::start(name, &persona.source, settings, how).await
    }

    fn program(&self, command: Command) -> How {
        How::Program { launcher: self.launcher.clone(), profile: Arc::clone(&self.profile), command }
    }

    /// A command with its own environment only; without a sandbox also what programs cannot do without.
    fn command(&self, program: OsString, args: Vec<OsString>, own: BTreeMap<OsString, OsString>) -> Command {
        let mut env = BTreeMap::from([(OsString::from("LANG"), OsString::from("C.UTF-8"))]);
        if let Some(home) = &self.home {
            env.insert("HOME".into(), home.path().into());
            env.insert("TMPDIR".into(), home.path().into());
            env.insert("PATH".into(), DEFAULT_PATH.into());
        }
        env.extend(own);
        Command { program, args, env, directory: self.workspace.clone() }
    }
}

/// A writable directory of the persona's file is made when it is absent: the sandbox can only mount what exists.
fn make_writable(persona: &Persona, workspace: &Path) -> Result<(), Error> {
    let Some(directories) = profile::writable(persona)? else { return Ok(()) };
    let opened = Workspace::open(&ToolServerConfig::new(workspace.to_path_buf()))?;
    for directory in directories {
        opened.make_directory(&directory).map_err(|failure| Error::Workspace {
            path: workspace.join(&directory),
            source: std::io::Error::other(failure.to_string()),
        })?;
    }
    Ok(())
}

/// What lies in the workspace can be hidden; Masque's directories themselves, and grants beside the workspace that
/// touch them, are refused.
fn refuse_private(spec: &EnvironmentSpec<'_>, workspace: &Path) -> Result<(), Error> {
    let refused = |path: &Path| Error::Private { persona: spec.persona.name.clone(), path: path.to_path_buf() };
    let real = |path: &Path| fs_err::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let private: Vec<PathBuf> = spec.private.iter().map(|path| real(path)).collect();
    if private.iter().any(|private| private == workspace) {
        return Err(refused(workspace));
    }
    for granted in spec.persona.sandbox.ro.iter().map(|path| real(Path::new(path))) {
        if private.iter().any(|private| private.starts_with(&granted) || granted.starts_with(private)) {
            return Err(refused(&granted));
        }
    }
    Ok(())
}

/// Those of the given directories that lie in the workspace, relative to it.
fn private(workspace: &Path, directories: &[PathBuf]) -> Vec<PathBuf> {
    let inside = |directory: &PathBuf| {
        // One that does not exist yet must not be made from inside either.
        let real = fs_err::canonicalize(directory).unwrap_or_else(|_| directory.clone());
        let relative = real.strip_prefix(workspace).ok()?;
        (relative.components().next().is_some()).then(|| relative.to_path_buf())
    };
    directories.iter().filter_map(inside).collect()
}

/// The pattern that hides exactly this path of the workspace.
fn hidden_pattern(path: &Path) -> String {
    format!("/{}", globset::escape(&path.to_string_lossy()))
}

fn server_config(persona: &Persona, workspace: &Path, private: &[PathBuf]) -> Result<ToolServerConfig, Error> {
    let built_in = BUILT_IN_HIDDEN.iter().map(|pattern| (*pattern).to_owned());
    let private = private.iter().map(|path| hidden_pattern(path));
    Ok(ToolServerConfig {
        workspace: workspace.to_path_buf(),
        hidden: built_in.chain(private).chain(persona.sandbox.deny.iter().cloned()).collect(),
        read_only: profile::read_only(),
        writable: profile::writable(persona)?,
    })
}

/// What is offered to the model, and what is not.
struct Offered<'a> {
    policy: &'a Policy,
    specs: BTreeMap<String, ToolSpec>,
    routes: Routes,
    diagnostics: Vec<Diagnostic>,
    fatal: Option<Error>,
}

impl<'a> Offered<'a> {
    fn new(policy: &'a Policy) -> Self {
        Self { policy, specs: BTreeMap::new(), routes: Routes::default(), diagnostics: Vec::new(), fatal: None }
    }

    fn add(&mut self, spec: ToolSpec, route: Route) {
        if self.policy.has_tool(&spec.name, spec.effect) {
            self.routes.open.insert(spec.name.clone(), route);
            self.specs.insert(spec.name.clone(), spec);
        }
    }

    fn add_source(&mut self, source: &Arc<Source>) {
        for (name, spec) in source.tools() {
            self.add(spec.clone(), Route::Mcp(Arc::clone(source), name.clone()));
        }
    }

    /// Masque's own tools come last, so that no server can take their names.
    fn add_own(&mut self, spec: &EnvironmentSpec<'_>) {
        for tool in &builtin::ALL {
            self.add(tool.spec(), Route::Builtin);
        }
        self.add(ask::spec(), Route::Human);
        for tool in &spec.host_tools {
            self.add(tool.spec(), Route::Host(Arc::clone(tool)));
        }
    }

    fn add_failure(&mut self, persona: &Persona, name: &str, failure: &StartFailure) {
        let message = format!("MCP server `{name}` did not start, its tools are absent: {failure}");
        let hint = format!("check the entry `{name}` of the persona's MCP servers; the run goes on without it");
        self.diagnostics.push(Diagnostic::warning(&persona.source, message).hint(hint));
    }

    /// Keeps what is the same as when the run started.
    fn pin(&mut self, persona: &Persona, pinned: Option<&[ToolSpec]>) {
        let Some(pinned) = pinned else { return };
        let digests: BTreeMap<&str, _> = pinned.iter().map(|spec| (spec.name.as_str(), spec.digest())).collect();
        let mut refused = Vec::new();
        for (name, spec) in &self.specs {
            match digests.get(name.as_str()) {
                Some(digest) if *digest == spec.digest() => {}
                Some(_) => refused.push((name.clone(), "it is not what it was when the run started")),
                None => refused.push((name.clone(), "it did not exist when the run started")),
            }
        }
        for (name, reason) in refused {
            self.specs.remove(&name);
            self.routes.open.remove(&name);
            let message = format!("tool `{name}` is not offered to the resumed run: {reason}");
            self.diagnostics.push(Diagnostic::warning(&persona.source, message));
            self.routes.refused.insert(name, reason.to_owned());
        }
        for name in digests.keys().filter(|name| !self.specs.contains_key(**name)) {
            let reason = "it was there when the run started and is not any more";
            self.routes.refused.entry((*name).to_owned()).or_insert_with(|| reason.to_owned());
        }
    }
}
