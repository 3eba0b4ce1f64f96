//! [`Host`]: a machine; [`Group`]: services that belong together, and may share a container.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Container;

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
