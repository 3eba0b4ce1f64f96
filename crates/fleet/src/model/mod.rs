//! A fleet as plain data: what is to run where, after what, and how its health is seen.
//!
//! Leaves out the files that say it, and what runs. Everything here is resolved: defaults and variables are put in,
//! paths are absolute, and every name that can be found is found.

mod command;
mod container;
mod dependency;
mod host;
mod limits;
mod place;
mod probe;
mod restart;
mod service;

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use command::{Account, Command, Program};
pub use container::{Build, Container, Network, Protocol, Published, Shared};
pub use dependency::{Condition, Dependency, Fallback, OnLoss};
pub use host::{Group, Host};
pub use limits::{Limits, Logs};
pub use place::{Place, Places};
pub use probe::{Check, Expectation, Http, Probe};
pub use restart::{Backoff, Restart, RestartPolicy, Stop};
pub use service::{Kind, Service, ServiceId, Start};

/// Hosts, groups and services.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Fleet {
    /// Its name: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// The files that it was read from; absolute.
    pub sources: Vec<PathBuf>,
    /// Where relative paths of the files begin; absolute.
    pub directory: PathBuf,
    /// Directories in which scripts are looked for, in this order; absolute.
    pub roots: Vec<PathBuf>,
    /// Machines by name.
    pub hosts: BTreeMap<String, Host>,
    /// Groups by name.
    pub groups: BTreeMap<String, Group>,
    /// Volumes of containers that are not called after the fleet, by the names that containers use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Shared>,
    /// Networks of containers that are not called after the fleet, by the names that containers use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, Shared>,
    /// Services in the order of the files. Their ids are unique.
    pub services: Vec<Service>,
    /// Where the services are declared, for messages.
    #[serde(skip)]
    pub places: Places,
}

impl Fleet {
    /// The service of that id.
    #[must_use]
    pub fn service(&self, id: &ServiceId) -> Option<&Service> {
        self.services.iter().find(|service| service.id == *id)
    }

    /// The services of one host.
    pub fn services_of<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a Service> {
        self.services.iter().filter(move |service| service.id.host == host)
    }

    /// Whom a name means for somebody on that host: `host/name` there only, a bare name here first, then on the one
    /// other host that has it.
    #[must_use]
    pub fn resolve(&self, name: &str, host: &str) -> Option<&Service> {
        if let Some((host, name)) = name.split_once('/') {
            return self.services.iter().find(|service| service.id.host == host && service.id.name == name);
        }
        let here = self.services.iter().find(|service| service.id.host == host && service.id.name == name);
        here.or_else(|| {
            let mut elsewhere = self.services.iter().filter(|service| service.id.name == name);
            elsewhere.next().filter(|_| elsewhere.next().is_none())
        })
    }
}
