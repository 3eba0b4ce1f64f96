//! [`Chain`]: which services decided how long the start of a fleet took, like the chain of a boot.

use std::{collections::BTreeSet, time::Duration};

use masque_fleet::{
    graph::{Graph, measured_by_changes, measured_by_status},
    model::{Fleet, ServiceId},
    status::{Change, FleetStatus, State},
};
use serde::Serialize;

/// The services that decided how long the start took, the first one first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chain {
    /// From the first start to the last readiness.
    #[serde(with = "masque_types::time::millis", rename = "total_ms")]
    pub total: Duration,
    /// The services.
    pub steps: Vec<Step>,
}

/// One service of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which one.
    pub id: ServiceId,
    /// When it was started.
    #[serde(with = "masque_types::time::millis", rename = "offset_ms")]
    pub offset: Duration,
    /// How long it took to become ready.
    #[serde(with = "masque_types::time::millis", rename = "duration_ms")]
    pub duration: Duration,
}

impl Chain {
    /// The chain of a start, from the changes that it made. `end` is the service whose start is explained, otherwise the
    /// one that was ready last. None when nothing became ready.
    #[must_use]
    pub fn of_changes(fleet: &Fleet, changes: &[Change], end: Option<&ServiceId>) -> Option<Self> {
        let missing = changes.iter().filter(|change| change.to == State::Substituted).map(|change| change.id.clone());
        Self::of(&Graph::without(fleet, &missing.collect()), &measured_by_changes(changes), end)
    }

    /// The chain of what runs now.
    #[must_use]
    pub fn of_status(fleet: &Fleet, status: &FleetStatus, end: Option<&ServiceId>) -> Option<Self> {
        let services = || status.hosts.iter().flat_map(|host| &host.services);
        let missing =
            services().filter(|service| service.state == State::Substituted).map(|service| service.id.clone());
        let missing: BTreeSet<ServiceId> = missing.collect();
        Self::of(&Graph::without(fleet, &missing), &measured_by_status(services()), end)
    }

    fn of(
        graph: &Graph,
        measured: &std::collections::BTreeMap<ServiceId, masque_fleet::graph::Measured>,
        end: Option<&ServiceId>,
    ) -> Option<Self> {
        let path = graph.critical_chain(measured, end)?;
        let begin = measured.values().map(|times| times.started).min().unwrap_or_default();
        let step = |link: &masque_fleet::graph::Link| Step {
            id: link.id.clone(),
            offset: link.offset.saturating_sub(begin),
            duration: link.duration,
        };
        Some(Self { total: path.total.saturating_sub(begin), steps: path.links.iter().map(step).collect() })
    }
}
