//! [`Host`]: a machine; [`Group`]: services that belong together, and may share a container.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

/// A machine of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Host {
    /// Address at which services of other hosts reach its services.
    pub address: Option<String>,
    /// Address and port on which its supervisor answers other supervisors: `192.0.2.1:7400`.
    pub link: Option<String>,
    /// Public key of its supervisor: `ed25519:` and 64 hexadecimal digits.
    pub key: Option<String>,
    /// Memory of the machine in bytes, for hosts that the check cannot see.
    pub memory_bytes: Option<u64>,
    /// Variables that its services get.
    pub environment: BTreeMap<String, String>,
}

/// Services that belong together. All are on one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Group {
    /// What it is for.
    pub description: Option<String>,
    /// The container that the group runs in, when it is to run in one.
    pub container: Option<Container>,
}

/// How an image is built by a file that a person wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// The directory that is sent; absolute.
    pub context: PathBuf,
    /// The file, from that directory on; `Dockerfile` or `Containerfile` when absent.
    pub file: Option<PathBuf>,
}

/// How a group becomes a container with a supervisor inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Container {
    /// Name of the image; made from the group's name when absent.
    pub image: Option<String>,
    /// Image that it is built from.
    pub base: Option<String>,
    /// Directory with the file that the image is built by, where a person wrote one.
    pub build: Option<Build>,
    /// What replaces the entry point of the image.
    pub entrypoint: Option<Vec<String>>,
    /// Ports that the machine passes on: `8080:80`, `127.0.0.1:53:53/udp`.
    pub publish: Vec<String>,
    /// Debian packages to install.
    pub packages: Vec<String>,
    /// Python requirements file, relative to the fleet's directory.
    pub requirements: Option<PathBuf>,
    /// Files and directories that are copied in: from the fleet's directory, to the image.
    pub copy: BTreeMap<PathBuf, PathBuf>,
    /// Symbolic links made in the image: link, target.
    pub links: BTreeMap<PathBuf, PathBuf>,
    /// Volumes: `./logs:/app/logs`, `data:/app/data:ro`.
    pub volumes: Vec<String>,
    /// Network that it joins; one of the host when absent.
    pub network: Option<String>,
    /// Address in that network.
    pub address: Option<String>,
    /// Devices of the machine: `/dev/nvidia0`, `nvidia.com/gpu=all`.
    pub devices: Vec<String>,
}
