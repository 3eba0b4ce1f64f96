//! The lines of the record of instances.

use masque_fleet::model::ServiceId;
use serde::{Deserialize, Serialize};

use crate::machine::Resolved;

/// Version of the lines.
pub(super) const VERSION: u32 = 1;

/// One thing that happened. A line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Entry {
    /// The first line: processes mean something only within this boot and this process namespace.
    Head {
        /// Version of the lines.
        version: u32,
        /// The boot and the process namespace.
        machine: String,
    },
    /// An instance is about to be started.
    Planned {
        /// Of which service.
        id: ServiceId,
        /// Its number.
        instance: u64,
        /// What its processes carry in their environment.
        cookie: String,
    },
    /// What it is told about its dependencies, at its start or while it runs.
    Told {
        /// Of which service.
        id: ServiceId,
        /// Who meets which.
        dependencies: Vec<Resolved>,
    },
    /// It was started.
    Started {
        /// Of which service.
        id: ServiceId,
        /// Its main process.
        pid: u32,
        /// When that process was started, in ticks since boot.
        start_time: u64,
    },
    /// It was ready for the first time.
    Ready {
        /// Of which service.
        id: ServiceId,
    },
    /// It ended.
    Ended {
        /// Of which service.
        id: ServiceId,
        /// Whether it is a task that reached its end.
        completed: bool,
    },
    /// A person wants it not to run.
    Held {
        /// Which service.
        id: ServiceId,
    },
    /// A person wants it to run again.
    Released {
        /// Which service.
        id: ServiceId,
    },
    /// A person wants a service to run that otherwise would only when it is needed.
    Wanted {
        /// Which service.
        id: ServiceId,
    },
    /// The whole fleet is being ended.
    Closing,
}
