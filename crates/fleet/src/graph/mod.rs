//! [`Graph`]: which service needs which, with everything that follows: circles, order, critical path, drawings.
//!
//! An edge leads from a service to the one that it needs. Where that one is missing, the edge leads to who stands in for
//! it; services that could stand in later are kept apart. Leaves out running anything.

mod critical;
mod cycles;
mod draw;
mod layout;
mod measured;
mod order;
mod resolve;
mod svg;

use std::collections::{BTreeMap, BTreeSet};

pub use critical::{Link, Path, lower_bound};
pub use cycles::Cycle;
pub use measured::{Measured, measured_by_changes, measured_by_status};
pub use resolve::{Resolution, Roster};

use crate::model::{Condition, Fleet, ServiceId};

/// A need of one service for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Who needs.
    pub from: ServiceId,
    /// Who is used.
    pub to: ServiceId,
    /// Who was asked for; differs from `to` when that one stands in.
    pub asked: ServiceId,
    /// When the need is met.
    pub condition: Condition,
    /// Whether `from` cannot do without.
    pub required: bool,
}

/// The services of a fleet and what they need of each other.
#[derive(Debug, Clone)]
pub struct Graph {
    /// In the order of the fleet.
    services: Vec<ServiceId>,
    numbers: BTreeMap<ServiceId, usize>,
    edges: Vec<Edge>,
    fallback_edges: Vec<Edge>,
    /// For each service the numbers of its edges.
    out: Vec<Vec<usize>>,
    /// For each service the numbers of the edges that lead to it.
    into: Vec<Vec<usize>>,
}

impl Graph {
    /// The graph of a fleet. Services whose script was not found are missing.
    #[must_use]
    pub fn of(fleet: &Fleet) -> Self {
        Self::without(fleet, &BTreeSet::new())
    }

    /// The graph of a fleet when these services are missing too.
    #[must_use]
    pub fn without(fleet: &Fleet, missing: &BTreeSet<ServiceId>) -> Self {
        let roster = Roster::of(fleet, missing);
        let mut numbers = BTreeMap::new();
        let mut services: Vec<ServiceId> = Vec::new();
        // A name that is there twice is a fault that the check tells; here the first one counts.
        for service in &fleet.services {
            numbers.entry(service.id.clone()).or_insert_with(|| {
                services.push(service.id.clone());
                services.len() - 1
            });
        }
        let empty = vec![Vec::new(); services.len()];
        let mut graph =
            Self { services, numbers, edges: Vec::new(), fallback_edges: Vec::new(), out: empty.clone(), into: empty };
        let startable = fleet.services.iter().filter(|service| roster.is_there(&service.id));
        for (service, dependency) in startable.flat_map(|one| one.dependencies.iter().map(move |need| (one, need))) {
            let edge = |to: &ServiceId| Edge {
                from: service.id.clone(),
                to: to.clone(),
                asked: dependency.on.clone(),
                condition: dependency.condition,
                required: dependency.required,
            };
            let used = roster.resolve(dependency).service();
            graph
                .fallback_edges
                .extend(roster.candidates(dependency).into_iter().filter(|id| Some(*id) != used).map(edge));
            if let Some(to) = used {
                graph.add(edge(to));
            }
        }
        graph
    }

    fn add(&mut self, edge: Edge) {
        let number = self.edges.len();
        let (from, to) = (self.number(&edge.from), self.number(&edge.to));
        if let Some(list) = from.and_then(|from| self.out.get_mut(from)) {
            list.push(number);
        }
        if let Some(list) = to.and_then(|to| self.into.get_mut(to)) {
            list.push(number);
        }
        self.edges.push(edge);
    }

    fn number(&self, id: &ServiceId) -> Option<usize> {
        self.numbers.get(id).copied()
    }

    /// All services in the order of the fleet.
    #[must_use]
    pub fn services(&self) -> &[ServiceId] {
        &self.services
    }

    /// The needs, missing services replaced by who stands in.
    #[must_use]
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// Needs that come true only if a service fails that is there now.
    #[must_use]
    pub fn fallback_edges(&self) -> &[Edge] {
        &self.fallback_edges
    }

    /// The needs of one service.
    pub fn needs<'a>(&'a self, id: &ServiceId) -> impl Iterator<Item = &'a Edge> {
        let numbers = self.number(id).and_then(|number| self.out.get(number));
        numbers.into_iter().flatten().filter_map(|edge| self.edges.get(*edge))
    }

    /// The needs of others for one service.
    pub fn needed_by<'a>(&'a self, id: &ServiceId) -> impl Iterator<Item = &'a Edge> {
        let numbers = self.number(id).and_then(|number| self.into.get(number));
        numbers.into_iter().flatten().filter_map(|edge| self.edges.get(*edge))
    }

    /// Everything that a service needs, directly or through others; without itself unless it is in a circle.
    #[must_use]
    pub fn dependencies(&self, id: &ServiceId) -> BTreeSet<ServiceId> {
        reach(id, |id| self.needs(id).map(|edge| &edge.to).collect())
    }

    /// Everything that needs a service, directly or through others; without itself unless it is in a circle.
    #[must_use]
    pub fn dependants(&self, id: &ServiceId) -> BTreeSet<ServiceId> {
        reach(id, |id| self.needed_by(id).map(|edge| &edge.from).collect())
    }
}

fn reach<'a>(from: &'a ServiceId, next: impl Fn(&'a ServiceId) -> Vec<&'a ServiceId>) -> BTreeSet<ServiceId> {
    let mut found: BTreeSet<&ServiceId> = BTreeSet::new();
    let mut open = next(from);
    while let Some(id) = open.pop() {
        if found.insert(id) {
            open.extend(next(id));
        }
    }
    found.into_iter().cloned().collect()
}
