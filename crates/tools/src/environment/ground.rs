//! What every program of an environment stands on: the profile, the directories, the variables.
//!
//! Leaves out which programs there are.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use masque_egress::{Broker, Rules};
use masque_sandbox::{
    BUILT_IN_HIDDEN, FILES_DIRECTORY, Isolation, Launcher, Network, Pool, PoolLimits, Profile, masque_path_inside,
};
use masque_types::{
    digest::{Digest, canonical_json},
    persona::{ContainerSpec, McpServer, McpTransport, Persona},
    policy::Policy,
    run::SandboxMode,
};
use tempfile::TempDir;

use super::{
    EnvironmentSpec,
    container::{self, Containers, SharedHouse},
    network,
    secrets::{Consumer, Secrets},
};
use crate::{
    Error,
    hooks::{self, Hooks, When},
    mcp::{self, How, StartFailure, login::Logins},
    profile,
    program::{Start, Starter},
    server::ToolServerConfig,
    workspace::Workspace,
};

/// Where programs are looked for when they run without a sandbox.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Sandboxes for hooks that wait.
const HOOK_POOL: PoolLimits = PoolLimits { per_profile: 2, total: 2, idle: Duration::from_secs(60) };

/// What every program of an environment stands on.
pub(super) struct Ground {
    launcher: Launcher,
    profile: Arc<Profile>,
    workspace: PathBuf,
    /// Masque's own directories in the workspace, relative to it.
    private: Vec<PathBuf>,
    masque: PathBuf,
    mode: SandboxMode,
    /// The home directory of programs that run without a sandbox.
    pub(super) home: Option<TempDir>,
    /// The small files of programs that have no sandbox to hold them.
    pub(super) files: Option<TempDir>,
    pub(super) secrets: Secrets,
    /// The hosts of the persona's file, when it lists any.
    pub(super) hosts: Option<Rules>,
    /// What programs need to trust the broker.
    certificates: BTreeMap<OsString, OsString>,
    /// The container, when there is one.
    pub(super) house: Option<SharedHouse>,
    logins: Option<Arc<dyn Logins>>,
}

impl Ground {
    pub(super) fn prepare(spec: &EnvironmentSpec<'_>) -> Result<Self, Error> {
        let failed = |source| Error::Workspace { path: spec.workspace.clone(), source };
        // The sandbox shows the workspace at its resolved path.
        let workspace = fs_err::canonicalize(&spec.workspace).map_err(failed)?;
        refuse_private(spec, &workspace)?;
        make_writable(spec.persona, &workspace)?;
        let home = match spec.mode {
            SandboxMode::Process | SandboxMode::Container => None,
            SandboxMode::None => Some(temporary()?),
        };
        let mut profile = profile::profile(spec.persona, &workspace, spec.mode, &spec.masque)?;
        let private = private(&workspace, &spec.private);
        profile.hidden.extend(private.iter().map(|path| hidden_pattern(path)));
        profile.read_only.extend(private.iter().cloned());
        let files = match spec.mode {
            SandboxMode::None if !spec.persona.hooks.is_empty() => Some(temporary()?),
            _ => None,
        };
        Ok(Self {
            launcher: spec.launcher.clone(),
            profile: Arc::new(profile),
            workspace,
            private,
            masque: spec.masque.clone(),
            mode: spec.mode,
            home,
            files,
            secrets: Secrets::deal(spec.persona, spec.secrets.clone()),
            hosts: network::listed(spec.persona)?,
            certificates: BTreeMap::new(),
            house: None,
            logins: spec.logins.clone(),
        })
    }

    /// Whether there is a broker at the border.
    pub(super) fn has_broker(&self, persona: &Persona) -> bool {
        self.is_confined() && !persona.sandbox.network && !persona.sandbox.hosts.is_empty()
    }

    /// Opens the way out, when the persona lists hosts, and the container, when there is one.
    pub(super) async fn open(&mut self, spec: &EnvironmentSpec<'_>) -> Result<Option<Broker>, Error> {
        match (self.mode, self.has_broker(spec.persona)) {
            (SandboxMode::Container, true) => self.house_behind_border(spec).await.map(Some),
            (SandboxMode::Container, false) => self.house(spec).await.map(|()| None),
            (SandboxMode::Process, true) => self.open_network(spec).map(Some),
            _ => Ok(None),
        }
    }

    fn open_network(&mut self, spec: &EnvironmentSpec<'_>) -> Result<Broker, Error> {
        let (space, device) = network::space(&self.launcher)?;
        let way = network::open(spec.persona, &self.secrets, &spec.border, device)?;
        let mut profile = (*self.profile).clone();
        profile.network = Network::Space(space);
        if let Some(authorities) = way.authorities {
            let path = network::bundle_path_inside();
            self.certificates = network::certificate_variables(&path);
            profile.files.insert(path, authorities);
        }
        self.profile = Arc::new(profile);
        Ok(way.broker)
    }

    /// A container without network of its own, or with that of the machine.
    async fn house(&mut self, spec: &EnvironmentSpec<'_>) -> Result<(), Error> {
        let (containers, settings) = containers(spec)?;
        let files = self.hook_files(spec)?;
        let (wanted, expansion) = container::spec(&spec.persona.name, &self.profile, settings, files)?;
        let house = if container::may_share(settings, &self.secrets) {
            let policy = serde_json::to_value(spec.policy).map_err(Error::Configuration)?;
            let policy = Digest::of(canonical_json(&policy)).to_string();
            containers.lease(&spec.persona.name, &policy, &wanted, expansion).await?
        } else {
            containers.start(&wanted, expansion).await?
        };
        self.house = Some(Arc::new(house));
        Ok(())
    }

    /// A container whose only way out is the broker: the device is put into its network once it runs.
    async fn house_behind_border(&mut self, spec: &EnvironmentSpec<'_>) -> Result<Broker, Error> {
        let (containers, settings) = containers(spec)?;
        let mut files = self.hook_files(spec)?;
        let directory = self.directory()?;
        let resolver = directory.join("resolv.conf");
        let bundle = directory.join("authorities.pem");
        let failed = |error: std::io::Error| Error::Network(error.to_string());
        fs_err::write(&resolver, network::RESOLVER).map_err(failed)?;
        // The broker comes after the container: the same file gets its content then.
        fs_err::write(&bundle, b"").map_err(failed)?;
        let inside = network::bundle_path_inside();
        files.insert("/etc/resolv.conf".into(), resolver);
        files.insert(inside.clone(), bundle.clone());
        let (wanted, expansion) = container::spec(&spec.persona.name, &self.profile, settings, files)?;
        let house = Arc::new(containers.start(&wanted, expansion).await?);
        self.house = Some(Arc::clone(&house));
        let way = match self.border_of(spec, &house).await {
            Ok(way) => way,
            Err(error) => {
                house.leave().await;
                return Err(error);
            }
        };
        if let Some(authorities) = way.authorities {
            fs_err::write(&bundle, authorities).map_err(failed)?;
            self.certificates = network::certificate_variables(&inside);
        }
        Ok(way.broker)
    }

    async fn border_of(&self, spec: &EnvironmentSpec<'_>, house: &SharedHouse) -> Result<network::Way, Error> {
        let elsewhere =
            || Error::Network("the container runs in another machine, whose network cannot be reached".into());
        let process = house.process_id().await.ok_or_else(elsewhere)?;
        let failed = |source| Error::Sandbox { server: "the network".to_owned(), source };
        let device = masque_sandbox::place_network_device(process, &network::device()).map_err(failed)?;
        network::open(spec.persona, &self.secrets, &spec.border, device)
    }

    /// The hooks' files of a container, by their places inside. They are kept by their content, so that containers with
    /// the same hooks are the same.
    fn hook_files(&mut self, spec: &EnvironmentSpec<'_>) -> Result<BTreeMap<PathBuf, PathBuf>, Error> {
        let mut files = BTreeMap::new();
        for (when, hook) in When::all(&spec.persona.hooks) {
            let directory = match &spec.cache {
                Some(cache) => cache.join("hooks"),
                None => self.directory()?,
            };
            let wrong = |error: std::io::Error| Error::Hook {
                persona: spec.persona.name.clone(),
                hook: when.name(),
                problem: error.to_string(),
            };
            let file = directory.join(Digest::of(&hook.content).to_string());
            if fs_err::read_to_string(&file).ok().as_ref() != Some(&hook.content) {
                fs_err::create_dir_all(&directory).map_err(wrong)?;
                fs_err::write(&file, &hook.content).map_err(wrong)?;
            }
            files.insert(inside(when), file);
        }
        Ok(files)
    }

    /// The private directory of this environment.
    fn directory(&mut self) -> Result<PathBuf, Error> {
        if self.files.is_none() {
            self.files = Some(temporary()?);
        }
        Ok(self.files.as_ref().map(|directory| directory.path().to_path_buf()).unwrap_or_default())
    }

    /// How the tool server is started.
    pub(super) fn tool_server(&self, persona: &Persona, policy: &Policy) -> Result<How, Error> {
        let mut words: Vec<OsString> = match self.mode {
            SandboxMode::Process => vec![masque_path_inside().into()],
            SandboxMode::Container => container::masque_words(&self.masque)?,
            SandboxMode::None => vec![self.masque.clone().into()],
        };
        let config = server_config(persona, policy, &self.workspace, &self.private)?;
        let config = serde_json::to_string(&config).map_err(Error::Configuration)?;
        let own = self.secrets.variables(&Consumer::ToolServer).collect();
        words.extend(["tool-server".into(), config.into()]);
        let program = words.remove(0);
        Ok(self.program(self.start(program, words, own)))
    }

    /// How an MCP server of the persona is reached.
    pub(super) fn source(&self, name: &str, settings: &McpServer) -> Result<How, StartFailure> {
        match &settings.transport {
            McpTransport::Stdio { command, args, env } => {
                let mut own: BTreeMap<OsString, OsString> =
                    env.iter().map(|(name, value)| (name.into(), value.into())).collect();
                own.extend(self.secrets.variables(&Consumer::Server(name.to_owned())));
                Ok(self.program(self.start(command.into(), args.iter().map(Into::into).collect(), own)))
            }
            McpTransport::Http { url, headers } => {
                let headers = mcp::headers(headers).map_err(StartFailure::Server)?;
                Ok(How::Http { url: url.clone(), headers, logins: self.logins.clone() })
            }
        }
    }

    /// The persona's hooks, ready to run; `None` when it has none.
    pub(super) fn hooks(&self, spec: &EnvironmentSpec<'_>) -> Result<Option<Hooks>, Error> {
        if spec.persona.hooks.is_empty() {
            return Ok(None);
        }
        let mut profile = (*self.profile).clone();
        profile.writable.clear();
        profile.network = Network::None;
        let mut programs = BTreeMap::new();
        for (when, hook) in When::all(&spec.persona.hooks) {
            let wrong =
                |problem: String| Error::Hook { persona: spec.persona.name.clone(), hook: when.name(), problem };
            let (program, argument) = hooks::interpreter(&hook.content)
                .ok_or_else(|| wrong(format!("`{}` does not begin with `#!` and a program", hook.path)))?;
            let file = self.place(&mut profile, when, &hook.content).map_err(|error| wrong(error.to_string()))?;
            let args = argument.into_iter().chain([file.into()]).collect();
            programs.insert(when, self.start(program, args, BTreeMap::new()));
        }
        let starter = self.hook_starter(Arc::new(profile), &programs)?;
        let (persona, run, limit) = (spec.persona.name.clone(), spec.run, spec.hook_limit);
        Ok(Some(Hooks { starter, programs, persona, run, limit }))
    }

    /// Puts a hook where programs of the profile can read it; in a container it is already.
    fn place(&self, profile: &mut Profile, when: When, content: &str) -> std::io::Result<PathBuf> {
        match (self.mode, &self.files) {
            (SandboxMode::None, Some(directory)) => {
                let path = directory.path().join(when.name());
                fs_err::write(&path, content)?;
                Ok(path)
            }
            _ => {
                let path = inside(when);
                profile.files.insert(path.clone(), content.as_bytes().to_vec());
                Ok(path)
            }
        }
    }

    /// Whether programs are confined on this machine.
    pub(super) fn is_confined(&self) -> bool {
        self.profile.isolation == Isolation::Process
    }

    fn program(&self, start: Start) -> How {
        How::Program { starter: self.starter(&self.profile), start }
    }

    /// Hooks around calls are started again and again: their sandboxes are started ahead.
    fn hook_starter(&self, profile: Arc<Profile>, programs: &BTreeMap<When, Start>) -> Result<Starter, Error> {
        let is_frequent = [When::PreToolUse, When::PostToolUse].iter().any(|when| programs.contains_key(when));
        if self.mode != SandboxMode::Process || !is_frequent {
            return Ok(self.starter(&profile));
        }
        let failed = |source| Error::Sandbox { server: "the hooks".to_owned(), source };
        let pool = Pool::new(self.launcher.clone(), HOOK_POOL).map_err(failed)?;
        pool.prepare(&profile);
        Ok(Starter::Pooled { pool: Arc::new(pool), profile })
    }

    fn starter(&self, profile: &Arc<Profile>) -> Starter {
        match &self.house {
            Some(house) => Starter::Container(Arc::clone(house)),
            None => Starter::Sandbox { launcher: self.launcher.clone(), profile: Arc::clone(profile) },
        }
    }

    /// A program with its own environment only; without a sandbox also what programs cannot do without.
    fn start(&self, program: OsString, args: Vec<OsString>, own: BTreeMap<OsString, OsString>) -> Start {
        let mut env = BTreeMap::from([(OsString::from("LANG"), OsString::from("C.UTF-8"))]);
        if let Some(home) = &self.home {
            env.insert("HOME".into(), home.path().into());
            env.insert("TMPDIR".into(), home.path().into());
            env.insert("PATH".into(), DEFAULT_PATH.into());
        }
        env.extend(self.certificates.clone());
        env.extend(own);
        Start { program, args, env, directory: self.workspace.clone() }
    }
}

/// Where a hook stands inside of a sandbox or container.
fn inside(when: When) -> PathBuf {
    Path::new(FILES_DIRECTORY).join(when.name())
}

fn containers<'a>(spec: &'a EnvironmentSpec<'_>) -> Result<(&'a Arc<Containers>, &'a ContainerSpec), Error> {
    let none = || Error::NoImage { persona: spec.persona.name.clone() };
    Ok((spec.containers.as_ref().ok_or_else(none)?, spec.persona.sandbox.container.as_ref().ok_or_else(none)?))
}

/// A directory that only this user can look into.
fn temporary() -> Result<TempDir, Error> {
    tempfile::Builder::new().prefix("masque-home-").tempdir().map_err(Error::Temporary)
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

fn server_config(
    persona: &Persona,
    policy: &Policy,
    workspace: &Path,
    private: &[PathBuf],
) -> Result<ToolServerConfig, Error> {
    let built_in = BUILT_IN_HIDDEN.iter().map(|pattern| (*pattern).to_owned());
    let private = private.iter().map(|path| hidden_pattern(path));
    Ok(ToolServerConfig {
        workspace: workspace.to_path_buf(),
        hidden: built_in.chain(private).chain(persona.sandbox.deny.iter().cloned()).collect(),
        read_only: profile::read_only(persona),
        writable: profile::writable(persona)?,
        policy: Some(policy.clone()),
    })
}
