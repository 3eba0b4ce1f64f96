//! [`Run`]: one instance of a service, from its start to its end; [`Gauge`]: what its checks add up to; [`Binding`]: who
//! meets each of its dependencies.

use std::{collections::BTreeMap, time::Duration};

use masque_fleet::model::{Dependency, Probe, ServiceId};

use super::{Outcome, Resolved};

/// One instance of a service.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) instance: u64,
    /// Absent as long as the runner has not answered.
    pub(super) pid: Option<u32>,
    /// When its start was asked for.
    pub(super) begun: Duration,
    /// When it became ready.
    pub(super) ready_at: Option<Duration>,
    /// One for each dependency of the definition that it was started with, in their order.
    pub(super) bindings: Vec<Binding>,
    pub(super) readiness: Gauge,
    pub(super) liveness: Gauge,
    pub(super) watches_ready: bool,
    pub(super) watches_live: bool,
    /// When it should have sent `WATCHDOG=1` again.
    pub(super) watchdog: Option<Duration>,
    /// What it says about itself.
    pub(super) status: Option<String>,
    /// What it announced: that it reloads, or that it ends.
    pub(super) announced: Option<&'static str>,
    /// How it is being ended.
    pub(super) ending: Option<Ending>,
}

impl Run {
    pub(super) fn new(instance: u64, begun: Duration, bindings: Vec<Binding>) -> Self {
        Self {
            instance,
            pid: None,
            begun,
            ready_at: None,
            bindings,
            readiness: Gauge::default(),
            liveness: Gauge::default(),
            watches_ready: false,
            watches_live: false,
            watchdog: None,
            status: None,
            announced: None,
            ending: None,
        }
    }
}

/// How an instance is being ended.
#[derive(Debug)]
pub(super) struct Ending {
    /// The failure that made it necessary; absent when somebody wanted it.
    pub(super) failure: Option<String>,
    /// When it is killed, for the first time or again. Absent as long as it has not been asked to end.
    pub(super) kill_at: Option<Duration>,
    /// Whether it was killed.
    pub(super) killed: bool,
}

/// What the outcomes of one probe add up to.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    failures: u32,
    successes: u32,
    /// Why it is not well.
    pub(super) unwell: Option<String>,
}

impl Gauge {
    /// Takes an outcome and says whether it is well, if this one decided it. What the service itself says about its
    /// condition counts at once; whether it answers at all counts by the numbers of the probe.
    pub(super) fn take(&mut self, probe: &Probe, outcome: &Outcome) -> Option<bool> {
        match outcome {
            Outcome::Healthy | Outcome::Degraded(_) => {
                self.failures = 0;
                self.successes = self.successes.saturating_add(1);
                if let Outcome::Degraded(why) = outcome {
                    self.unwell = Some(why.clone());
                    // The next good answers count anew.
                    let enough = self.is_enough(probe);
                    self.successes = self.successes.min(probe.successes.saturating_sub(1));
                    return enough.then_some(true);
                }
                let enough = self.is_enough(probe);
                if enough {
                    self.unwell = None;
                }
                enough.then_some(true)
            }
            Outcome::Unhealthy(why) => {
                self.successes = 0;
                self.failures = self.failures.saturating_add(1);
                let enough = self.failures >= probe.failures.max(1);
                if enough {
                    self.unwell = Some(why.clone());
                }
                enough.then_some(false)
            }
        }
    }

    fn is_enough(&self, probe: &Probe) -> bool {
        // What is pushed is said once.
        probe.check.is_pushed() || self.successes >= probe.successes
    }
}

/// Who meets a dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Supplier {
    /// A service.
    Service(ServiceId),
    /// Nothing runs; these variables say so.
    Environment(BTreeMap<String, String>),
}

/// What an instance was told about one of its dependencies, and how that stands.
#[derive(Debug, Clone)]
pub(super) struct Binding {
    pub(super) told: Told,
    /// Since when it is not there, known for sure.
    pub(super) away_since: Option<Duration>,
    /// Whether it was away for longer than its grace.
    pub(super) lost: bool,
    /// Whether its host is not heard.
    pub(super) unheard: bool,
    /// Whether another one meets it now than the instance was told.
    pub(super) stale: bool,
}

/// What an instance was told about a dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// Who meets it.
    Supplier(Supplier),
    /// That it is not there; it is optional.
    Absent,
    /// An earlier supervisor told it, and its record does not say what.
    Unsure,
}

impl Told {
    /// What an earlier supervisor told about a dependency.
    pub(super) fn before(dependency: &Dependency, told: Option<&[Resolved]>) -> Self {
        let Some(told) = told else { return Self::Unsure };
        match told.iter().find(|it| it.asked == dependency.on) {
            Some(Resolved { actual: Some(id), .. }) => Self::Supplier(Supplier::Service(id.clone())),
            Some(Resolved { environment, .. }) => Self::Supplier(Supplier::Environment(environment.clone())),
            // One that is needed was told; this one is new in the manifest.
            None if dependency.required => Self::Unsure,
            None => Self::Absent,
        }
    }
}

impl Binding {
    pub(super) const fn new(told: Told) -> Self {
        Self { told, away_since: None, lost: false, unheard: false, stale: false }
    }

    /// Notes that it is there.
    pub(super) const fn is_there(&mut self) {
        self.away_since = None;
        self.lost = false;
        self.unheard = false;
        self.stale = false;
    }
}
