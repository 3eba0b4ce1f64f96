//! [`Action`]: what the machine wants to be done. Leaves out doing it.

use std::collections::BTreeMap;

use masque_fleet::{model::ServiceId, status::State};
use serde::{Deserialize, Serialize};

use super::Which;

/// A dependency, and who meets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The service that the definition names.
    pub asked: ServiceId,
    /// Who really meets it; another one when something stands in, none when nothing runs.
    pub actual: Option<ServiceId>,
    /// What the fallback says to the dependant.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
}

/// What is to be done. Actions are carried out in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start the program; answered by `Started` or `NotStarted`, and, once started, by `Ended` in the end.
    Start {
        /// Which service.
        id: ServiceId,
        /// Number of the instance; rises with each start.
        instance: u64,
        /// Its dependencies in the order of its definition, without the optional ones that are not there.
        dependencies: Vec<Resolved>,
    },
    /// Begin to check it.
    Watch {
        /// Which service.
        id: ServiceId,
        /// Which instance.
        instance: u64,
        /// By which of its probes.
        which: Which,
    },
    /// Check it no more.
    Unwatch {
        /// Which service.
        id: ServiceId,
        /// Which instance.
        instance: u64,
        /// By which of its probes.
        which: Which,
    },
    /// Send a signal to it.
    Signal {
        /// Which service.
        id: ServiceId,
        /// Which instance.
        instance: u64,
        /// The signal's name: `TERM`.
        signal: String,
    },
    /// Kill everything of it.
    Kill {
        /// Which service.
        id: ServiceId,
        /// Which instance.
        instance: u64,
    },
    /// Tell it by its reload signal that its dependencies changed.
    Reload {
        /// Which service.
        id: ServiceId,
        /// Which instance.
        instance: u64,
        /// Its dependencies as they are now.
        dependencies: Vec<Resolved>,
    },
    /// It stands elsewhere.
    Changed {
        /// Which service.
        id: ServiceId,
        /// Where it stood.
        from: State,
        /// Where it stands.
        to: State,
        /// Why, in a sentence.
        why: String,
    },
    /// A person should look at it. Told once for a series of failures.
    Alarm {
        /// Which service.
        id: ServiceId,
        /// Why, in a sentence.
        why: String,
    },
}
