//! [`Dependency`]: what must be there before a service starts, and what happens when it goes away.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ServiceId;

/// When a dependency is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Its program was started.
    Started,
    /// It is ready.
    #[default]
    Ready,
    /// It ran to its end with success; for tasks.
    Completed,
}

/// What happens to a running service when a dependency is no longer there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum OnLoss {
    /// It runs on, and is degraded as long as the dependency is required.
    #[default]
    Ignore,
    /// It is restarted once the dependency is there again.
    Restart,
    /// It is stopped, and started once the dependency is there again.
    Stop,
}

/// What stands in for a service that is missing or has failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// Another service.
    Service(ServiceId),
    /// Nothing runs; the dependant is told by these variables.
    Environment(BTreeMap<String, String>),
}

/// An edge from a service to what it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// What is needed. It need not exist where a fallback or `required: false` says what happens then.
    pub on: ServiceId,
    /// When it is met.
    pub condition: Condition,
    /// Whether the service cannot do without. If not, it starts when the dependency is met or has failed.
    pub required: bool,
    /// What stands in, tried in this order, before what the needed service itself declares.
    pub fallback: Vec<Fallback>,
    /// What happens when it is lost.
    pub on_loss: OnLoss,
    /// How long it may be away before it counts as lost.
    pub grace: Duration,
}

impl Dependency {
    /// A required dependency on readiness, without fallback.
    #[must_use]
    pub fn on(id: ServiceId) -> Self {
        Self {
            on: id,
            condition: Condition::Ready,
            required: true,
            fallback: Vec::new(),
            on_loss: OnLoss::Ignore,
            grace: Duration::ZERO,
        }
    }
}
