//! What a container may touch and use: [`ContainerSpec`], and what is started in it: [`Exec`].
//!
//! Plain data of the caller; leaves out how it is enforced.

use std::{any::Any, collections::BTreeMap, ffi::OsString, path::PathBuf};

/// Whatever has to live as long as the container, for instance the placeholders of paths that must stay absent.
pub type Guard = Box<dyn Any + Send + Sync>;

/// What a container reaches of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// Nothing: an empty network namespace, which can be joined by [`crate::Container::process_id`].
    None,
    /// The network of this machine. Programs make no local sockets then: those of the machine's own would answer.
    Host,
}

/// Numeric user and group inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct User {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// A container to start.
///
/// Paths are absolute, or relative to the workspace. Symbolic links in the path of the workspace and of paths outside
/// of it are resolved once, when the container is started; it shows the resolved paths. A path must be UTF-8 without
/// control characters, `,`, `:` and `"`, which mean something else in the engines' API.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContainerSpec {
    /// What people see in the container's name; characters other than letters, digits, `_`, `.`, `-` become `-`.
    pub label: String,
    /// Name or digest of an image that the engine has.
    pub image: String,
    /// The workspace: visible at its own path, read-only except for `writable`.
    pub workspace: PathBuf,
    /// Directories that may be written: the workspace itself, directories in it, or others. They must exist.
    pub writable: Vec<PathBuf>,
    /// Files and directories that may be read, beyond the image and the workspace.
    pub readable: Vec<PathBuf>,
    /// Files and directories that cannot be read: each is covered. Those that do not exist are passed over; a link is
    /// followed, and what it leads to is covered where it is visible.
    pub hidden: Vec<PathBuf>,
    /// Existing files and directories in writable places that cannot be changed, moved or removed. For an absent one,
    /// the caller makes a placeholder and keeps it in the container's [`Guard`].
    pub read_only: Vec<PathBuf>,
    /// Small files of this machine that are readable at another place inside: by that place, which may be one of the
    /// image's own.
    pub files: BTreeMap<PathBuf, PathBuf>,
    /// The `masque` executable, readable inside as [`crate::masque_path_inside`].
    pub masque: PathBuf,
    /// The loader and libraries that `masque` needs: [`crate::libraries_of_this_process`]; none when it is static.
    pub libraries: Vec<PathBuf>,
    /// Arguments with which `masque` runs [`crate::inside::run`].
    pub init: Vec<String>,
    /// Name of a volume that outlives the container, mounted at [`crate::cache_path_inside`].
    pub cache: Option<String>,
    /// Size of `/tmp`, and of `/var/tmp` and of each volume that the image declares, in bytes. Counts as memory.
    pub tmp_bytes: u64,
    /// Memory of everything in the container, in bytes. There is no swap beyond it.
    pub memory_bytes: u64,
    /// Processes and threads of everything in the container; Masque's own are one, and two more for each program.
    pub pids: u32,
    /// Processors, in thousandths; all of them when absent.
    pub milli_cpus: Option<u32>,
    /// Open files of each process.
    pub open_files: u64,
    /// What it reaches of the network.
    pub network: Network,
    /// Name of the engine's OCI runtime, for instance `runsc`; the engine's own choice when absent.
    pub runtime: Option<String>,
    /// Who the programs are. When absent the caller, or the root of an engine without root rights, which is the caller
    /// on this machine; so files in the workspace belong to the caller.
    pub user: Option<User>,
}

impl ContainerSpec {
    /// A container with a writable workspace, without network, with the limits of the process sandbox: 2 GiB of
    /// memory, 512 processes, 512 MiB of temporary files, 4096 open files.
    #[must_use]
    pub fn new(image: impl Into<String>, workspace: PathBuf, masque: PathBuf) -> Self {
        Self {
            label: String::new(),
            image: image.into(),
            writable: vec![workspace.clone()],
            workspace,
            readable: Vec::new(),
            hidden: Vec::new(),
            read_only: Vec::new(),
            files: BTreeMap::new(),
            masque,
            libraries: Vec::new(),
            init: vec!["container-inside".to_owned()],
            cache: None,
            tmp_bytes: 512 << 20,
            memory_bytes: 2 << 30,
            pids: 512,
            milli_cpus: None,
            open_files: 4096,
            network: Network::None,
            runtime: None,
            user: None,
        }
    }
}

/// A program to start in a container. Its three standard streams are pipes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// A path inside, or a name looked up in `PATH` of `env`.
    pub program: OsString,
    /// Its arguments, without the program.
    pub args: Vec<OsString>,
    /// Its whole environment: nothing is added, neither by the image nor by Masque.
    pub env: BTreeMap<OsString, OsString>,
    /// The directory in which it starts, inside; absolute.
    pub directory: PathBuf,
}

impl Exec {
    /// A program without arguments and with an empty environment.
    #[must_use]
    pub fn new(program: impl Into<OsString>, directory: PathBuf) -> Self {
        Self { program: program.into(), args: Vec::new(), env: BTreeMap::new(), directory }
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
