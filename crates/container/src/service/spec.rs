//! [`ServiceSpec`]: what runs in a container of a fleet, and in which surroundings. Plain data of the caller.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// The `masque` executable, shown inside of any image together with what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masque {
    /// The executable.
    pub executable: PathBuf,
    /// The loader and libraries that it needs: [`crate::libraries_of_this_process`]; none when it is static.
    pub libraries: Vec<PathBuf>,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A file or directory of this machine. A directory that is not there is made.
    Path(PathBuf),
    /// A named volume, made when it is not there.
    Volume(String),
    /// A named volume of somebody else, which has to be there.
    External(String),
}

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What is shown.
    pub source: MountSource,
    /// Where it stands inside.
    pub target: String,
    /// Whether nobody inside may write there.
    pub read_only: bool,
    /// Further options, as engines know them: `z`, `Z`, `U`.
    pub options: Vec<String>,
}

/// The network that a container is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkJoin {
    /// That of this machine.
    Host,
    /// A named one.
    Named {
        /// Its name.
        name: String,
        /// Whether it is somebody else's and has to be there; otherwise it is made when it is not.
        external: bool,
        /// Addresses of it, when it has to be made: `172.20.0.0/16`.
        subnet: Option<String>,
        /// The container's address in it.
        address: Option<String>,
        /// Names by which others in it find the container.
        aliases: Vec<String>,
    },
}

/// A port of a container that the machine passes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Address of the machine; every one of it when absent.
    pub address: Option<String>,
    /// First and last port of the machine of which one is taken; any that is free when absent.
    pub machine: Option<(u16, u16)>,
    /// The port inside.
    pub container: u16,
    /// By what it is reached: `tcp`, `udp`, `sctp`.
    pub protocol: &'static str,
}

/// When the engine starts a container again that ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    Never,
    /// When it failed.
    OnFailure {
        /// How often at most.
        most: Option<u32>,
    },
    /// Always.
    Always,
}

/// A container that runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSpec {
    /// Its name, by which it is found again.
    pub name: String,
    /// Name of an image that the engine has.
    pub image: String,
    /// Masque as its first process; otherwise what `entrypoint` and `command` say.
    pub masque: Option<Masque>,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces the image's command.
    pub command: Option<Vec<String>>,
    /// Variables.
    pub environment: BTreeMap<String, String>,
    /// Working directory; the image's own when absent.
    pub directory: Option<String>,
    /// User and group: `1000:1000`; the image's own when absent.
    pub user: Option<String>,
    /// Labels. A running container with the same labels is taken for the same.
    pub labels: BTreeMap<String, String>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// Network.
    pub network: NetworkJoin,
    /// Ports that the machine passes on.
    pub publish: Vec<Port>,
    /// Devices: `/dev/snd`, `/dev/a:/dev/b`, or names of the Container Device Interface such as `nvidia.com/gpu=all`.
    pub devices: Vec<String>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Thousandths of a processor.
    pub milli_cpus: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Open files of each process.
    pub open_files: Option<u64>,
    /// The signal that asks it to end: `SIGTERM`.
    pub stop_signal: Option<String>,
    /// How long it may take to end.
    pub stop_grace: Duration,
    /// When the engine starts it again when it ended by itself.
    pub restart: Restart,
}
