//! [`Measured`]: when services really were started and ready, and the chain that decided it.

use std::{collections::BTreeMap, time::Duration};

use super::{Graph, Link, Path};
use crate::{
    model::{Condition, ServiceId},
    status::{Change, ServiceStatus, State},
};

/// When a service was started and ready, counted from the fleet's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// When its program was started.
    pub started: Duration,
    /// When it was ready, or a task at its end.
    pub ready: Duration,
}

/// The first successful start of each service, as supervisors told their changes. Changes of several hosts are brought
/// together by their wall clocks, those of one by its monotonic clock.
#[must_use]
pub fn measured_by_changes(changes: &[Change]) -> BTreeMap<ServiceId, Measured> {
    let mut begins: BTreeMap<&str, i64> = BTreeMap::new();
    for change in changes {
        let offset = i64::try_from(change.offset.as_millis()).unwrap_or(i64::MAX);
        begins.entry(&change.id.host).or_insert_with(|| change.at.0.saturating_sub(offset));
    }
    let first = begins.values().min().copied().unwrap_or_default();
    let since = |change: &Change| {
        let begin = begins.get(change.id.host.as_str()).copied().unwrap_or(first);
        change.offset + Duration::from_millis(u64::try_from(begin.saturating_sub(first)).unwrap_or_default())
    };
    let mut started: BTreeMap<&ServiceId, Duration> = BTreeMap::new();
    let mut measured = BTreeMap::new();
    for change in changes.iter().filter(|change| !change.id.name.is_empty()) {
        match change.to {
            State::Starting => {
                started.insert(&change.id, since(change));
            }
            State::Ready | State::Degraded | State::Completed => {
                if let Some(started) = started.get(&change.id) {
                    let times = Measured { started: *started, ready: since(change) };
                    measured.entry(change.id.clone()).or_insert(times);
                }
            }
            _ => {}
        }
    }
    measured
}

/// The present start of each service that is ready, counted from the first of these starts.
#[must_use]
pub fn measured_by_status<'a>(services: impl IntoIterator<Item = &'a ServiceStatus>) -> BTreeMap<ServiceId, Measured> {
    let times = |status: &'a ServiceStatus| Some((&status.id, status.started_at?, status.ready_after?));
    let known: Vec<_> = services.into_iter().filter_map(times).collect();
    let Some(first) = known.iter().map(|(_, at, _)| *at).min() else { return BTreeMap::new() };
    let measured = |started: Duration, took| Measured { started, ready: started + took };
    known.into_iter().map(|(id, at, took)| (id.clone(), measured(at.since(first), took))).collect()
}

impl Graph {
    /// The chain that decided when a service was ready, or without one the service that was ready last: at each step
    /// the need that was met last. None when nothing was measured.
    #[must_use]
    pub fn critical_chain(&self, measured: &BTreeMap<ServiceId, Measured>, end: Option<&ServiceId>) -> Option<Path> {
        let latest = || measured.iter().max_by_key(|(id, times)| (times.ready, std::cmp::Reverse(*id)));
        let (mut id, times) = match end {
            Some(end) => measured.get_key_value(end)?,
            None => latest()?,
        };
        let total = times.ready;
        let mut links: Vec<Link> = Vec::new();
        while let Some(times) = measured.get(id) {
            let before = self.last_met(id, measured);
            let met = before.map_or(Duration::ZERO, |(_, met)| met);
            links.push(Link {
                id: id.clone(),
                offset: times.started,
                duration: times.ready.saturating_sub(times.started),
                waited: times.started.saturating_sub(met),
            });
            match before {
                // A circle can only come from measurements that contradict the graph.
                Some((before, _)) if !links.iter().any(|link| link.id == *before) => id = before,
                _ => break,
            }
        }
        links.reverse();
        Some(Path { links, total })
    }

    /// The need of a service that was met last before its start, and when.
    fn last_met<'a>(
        &'a self,
        id: &ServiceId,
        measured: &BTreeMap<ServiceId, Measured>,
    ) -> Option<(&'a ServiceId, Duration)> {
        let met = self.needs(id).filter_map(|edge| {
            let times = measured.get(&edge.to)?;
            let met = if edge.condition == Condition::Started { times.started } else { times.ready };
            Some((&edge.to, met))
        });
        met.max_by_key(|(id, met)| (*met, std::cmp::Reverse(*id)))
    }
}
