//! What a program may touch and use: [`Profile`], and what is started: [`Command`].
//!
//! Plain data of the caller; leaves out how it is enforced.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use crate::{DeviceSettings, NetworkSpace};

/// Names hidden in every workspace, in addition to [`Profile::hidden`]. A pattern without `/` is matched against the
/// name of files and directories at any depth.
pub const BUILT_IN_HIDDEN: &[&str] = &[
    ".env",
    ".env.*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".netrc",
    ".pgpass",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    ".credentials*",
];

/// Paths in a workspace that later run or configure programs outside the sandbox: what callers put into
/// [`Profile::read_only`] unless they know better.
///
/// `.git` as a whole: whoever writes its index or its `commondir` decides which configuration Git obeys at the next
/// `git status`, and a configuration can name programs.
pub const BUILT_IN_READ_ONLY: &[&str] =
    &[".git", ".masque", ".agents", ".claude", ".codex", ".cursor", ".vscode", ".idea"];

/// What stays protected of `.git` where a program may commit.
pub const GIT_READ_ONLY: &[&str] =
    &[".git/hooks", ".git/config", ".git/config.worktree", ".git/commondir", ".git/modules", ".git/worktrees"];

/// Where [`Profile::files`] stand in a sandbox.
pub const FILES_DIRECTORY: &str = "/run/masque/files";

/// Whether a program is confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Namespaces, own root, limits, system call filter.
    Process,
    /// None at all: a plain child in its own process group. Only the environment is controlled. Daemons that start
    /// their own session survive a kill.
    None,
}

/// What a program reaches of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// Nothing: an empty network namespace, and no internet sockets.
    None,
    /// The network of this machine, by TCP and UDP sockets only.
    Host,
    /// A device in a network namespace of its own, by TCP and UDP sockets only; whoever takes the other end by
    /// [`crate::Child::take_network_device`] decides what is reached.
    Broker(DeviceSettings),
    /// The same in a namespace that several sandboxes share.
    Space(NetworkSpace),
}

impl Network {
    /// Whether programs may make internet sockets.
    pub(crate) fn has_sockets(&self) -> bool {
        *self != Self::None
    }

    /// The settings of its device, if it has one.
    pub(crate) fn device(&self) -> Option<&DeviceSettings> {
        match self {
            Self::None | Self::Host => None,
            Self::Broker(settings) => Some(settings),
            Self::Space(space) => Some(space.settings()),
        }
    }
}

/// Limits of one sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory of the whole tree in bytes, temporary files included. Where the machine has no writable cgroups it holds
    /// for each process alone.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub pids: u32,
    /// Size of `/tmp` in bytes.
    pub tmp_bytes: u64,
    /// Processor time of each process in seconds.
    pub cpu_seconds: Option<u64>,
    /// Open files of each process.
    pub open_files: u64,
    /// Largest file that can be written, in bytes.
    pub file_bytes: Option<u64>,
}

impl Default for Limits {
    /// 2 GiB of memory, 512 processes, 512 MiB of temporary files, 4096 open files.
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            pids: 512,
            tmp_bytes: 512 << 20,
            cpu_seconds: None,
            open_files: 4096,
            file_bytes: None,
        }
    }
}

/// What a program may touch and use.
///
/// Paths are absolute, or relative to the workspace. Symbolic links in the path of the workspace and of further
/// absolute paths are resolved once, when the program is started; the sandbox shows the resolved paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Whether the program is confined.
    pub isolation: Isolation,
    /// The workspace: visible at its own path, read-only except for `writable`.
    pub workspace: PathBuf,
    /// Directories that may be written: the workspace itself, directories in it, or others. They must exist.
    pub writable: Vec<PathBuf>,
    /// Files and directories that may be read, beyond the system's programs and libraries.
    pub readable: Vec<PathBuf>,
    /// Patterns of paths in the workspace that cannot be read, beyond [`BUILT_IN_HIDDEN`]: `*.secret` at any depth,
    /// `config/prod.toml` from the workspace on. They hide what exists when the program is started; a file that gets
    /// such a name later is visible to programs, so tools that open files by name check the names again.
    pub hidden: Vec<String>,
    /// Paths in the workspace that cannot be changed, and cannot be created while absent.
    pub read_only: Vec<PathBuf>,
    /// What it reaches of the network.
    pub network: Network,
    /// Its limits.
    pub limits: Limits,
    /// Small files that exist in the sandbox only, read-only: certificates, hooks. Their paths start with
    /// [`FILES_DIRECTORY`]; without isolation they are absent. Each sandbox has its own copy in memory.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    /// The `masque` executable, readable inside as [`crate::masque_path_inside`].
    pub masque: Option<PathBuf>,
}

impl Profile {
    /// A confined profile in which the workspace is writable except for [`BUILT_IN_READ_ONLY`], without network.
    #[must_use]
    pub fn new(workspace: PathBuf) -> Self {
        Self {
            isolation: Isolation::Process,
            writable: vec![workspace.clone()],
            workspace,
            readable: Vec::new(),
            hidden: Vec::new(),
            read_only: BUILT_IN_READ_ONLY.iter().map(PathBuf::from).collect(),
            network: Network::None,
            limits: Limits::default(),
            files: BTreeMap::new(),
            masque: None,
        }
    }
}

/// A program to start. Its three standard streams are pipes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// A path inside the sandbox, or a name looked up in `PATH` of `env`.
    pub program: OsString,
    /// Its arguments, without the program.
    pub args: Vec<OsString>,
    /// Its whole environment; nothing is inherited. A confined program gets `HOME`, `PATH` and `TMPDIR` of the sandbox
    /// where they are absent here.
    pub env: BTreeMap<OsString, OsString>,
    /// The directory in which it starts: absolute, or relative to the workspace.
    pub directory: PathBuf,
}

impl Command {
    /// A program without arguments and with an empty environment, started in the workspace.
    #[must_use]
    pub fn new(program: impl Into<OsString>) -> Self {
        Self { program: program.into(), args: Vec::new(), env: BTreeMap::new(), directory: PathBuf::new() }
    }

    /// With further arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }
}
