//! [`RunnerSpec`]: what a supervisor is to supervise, and from where.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    sync::Arc,
};

use masque_fleet::model::{Fleet, Service};
use masque_types::time::Timestamp;

use crate::link::{Peer, Tcp};

/// What a supervisor is to supervise, and from where.
#[derive(Debug, Clone)]
pub struct RunnerSpec {
    /// The fleet. Services of other hosts and groups are known, not started.
    pub fleet: Fleet,
    /// The host that this is.
    pub host: String,
    /// The groups that are supervised here; all of the host when empty.
    pub groups: BTreeSet<String>,
    /// The state directory. It is made when it is missing.
    pub directory: PathBuf,
    /// The environment of the supervisor: `PATH`, and what services ask to be passed.
    pub environment: BTreeMap<String, String>,
    /// Reads the time.
    pub clock: fn() -> Timestamp,
    /// What is wanted at first.
    pub begin: Begin,
    /// Whether somebody is shown every change as it happens: then alarms are not logged beside it.
    pub is_shown: bool,
    /// Reads the manifest again. Without it, a reload is refused.
    pub reload: Option<Reload>,
    /// How other supervisors are reached; absent: there are none.
    pub link: Option<LinkParts>,
    /// Loopback address and port at which metrics are told; absent: nowhere.
    pub metrics: Option<String>,
}

/// How other supervisors are reached.
#[derive(Debug, Clone)]
pub struct LinkParts {
    /// The name of this one: its host's, or `host.group`.
    pub name: String,
    /// Its side towards other hosts.
    pub tcp: Option<Tcp>,
    /// Directory that supervisors of this host share for their sockets.
    pub unix: Option<PathBuf>,
    /// The others.
    pub peers: Vec<Peer>,
}

impl RunnerSpec {
    /// Whether a service is supervised here.
    #[must_use]
    pub fn owns(&self, service: &Service) -> bool {
        let in_group = || service.group.as_ref().is_some_and(|group| self.groups.contains(group));
        service.id.host == self.host && (self.groups.is_empty() || in_group())
    }
}

/// What is wanted when a supervisor begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Everything is to run, whatever a person had stopped before.
    Up,
    /// What the last supervisor, which was killed, wanted.
    Resume,
}

/// Reads the manifest again; an error is a sentence for people.
#[derive(Clone)]
pub struct Reload(pub Arc<dyn Fn() -> Result<Fleet, String> + Send + Sync>);

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reload")
    }
}
