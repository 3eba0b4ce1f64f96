//! [`Roster`]: the services of one board and those of others, where each stands, and who meets a dependency.
//!
//! Leaves out every change: it only answers.

use std::collections::{BTreeMap, HashMap, HashSet};

use masque_fleet::{
    model::{Condition, Dependency, Fallback, Fleet, Kind, Service, ServiceId, Start},
    status::State,
};

use super::{
    Resolved,
    run::Supplier,
    unit::{Phase, Unit, Wanted},
};

/// A service of another supervisor.
#[derive(Debug)]
pub(super) struct Other {
    pub(super) service: Service,
    /// Where it stands; unknown when its supervisor is not heard.
    pub(super) state: Option<State>,
    /// Whether it was given up and has not become usable since, by what was heard last.
    pub(super) given_up: bool,
    /// Whether it is to run, by what was heard last.
    pub(super) runs: Option<bool>,
}

/// Where to find a service.
#[derive(Debug, Clone, Copy)]
enum Place {
    Own(usize),
    Other(usize),
}

/// How a service stands to those who need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The condition is met.
    Usable,
    /// It may be by itself.
    Coming,
    /// It was stopped, or nobody wants it.
    Away,
    /// It failed or is missing.
    GivenUp,
    /// Its supervisor is not heard.
    Unheard,
}

/// What can be hoped of a service that is waited for; the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Prospect {
    /// It comes, or is tried.
    Good,
    /// It hangs on another supervisor that is not heard, or does not say what it waits for.
    Uncertain,
    /// It waits for what was given up and for which nothing stands in, or for itself.
    Hopeless,
}

/// For what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To start on it: what is about to leave does not count.
    Start,
    /// To keep running on it.
    Keep,
}

/// Who meets a dependency, or who does not yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Supply {
    /// It is met.
    Met(Supplier),
    /// It is not: this service stands so. It is the one that is needed, or the one that is to stand in.
    Unmet(ServiceId, Standing),
}

/// All services that are known.
#[derive(Debug)]
pub(super) struct Roster {
    pub(super) units: Vec<Unit>,
    pub(super) others: Vec<Other>,
    places: HashMap<ServiceId, Place>,
}

impl Roster {
    pub(super) fn new(fleet: &Fleet, owned: impl Fn(&Service) -> bool, seed: u64) -> Self {
        let mut roster = Self { units: Vec::new(), others: Vec::new(), places: HashMap::new() };
        for service in &fleet.services {
            if owned(service) {
                roster.add(service.clone(), seed);
            } else {
                roster.know(service.clone());
            }
        }
        roster
    }

    /// Adds an own service.
    pub(super) fn add(&mut self, service: Service, seed: u64) {
        let index = self.units.len();
        self.places.insert(service.id.clone(), Place::Own(index));
        let seed = seed.wrapping_add(index as u64);
        self.units.push(Unit::new(service, seed));
    }

    /// Notes how a service of another supervisor is defined.
    pub(super) fn know(&mut self, service: Service) {
        if let Some(other) = self.other_mut(&service.id) {
            other.service = service;
            return;
        }
        self.places.entry(service.id.clone()).or_insert(Place::Other(self.others.len()));
        self.others.push(Other { service, state: None, given_up: false, runs: None });
    }

    pub(super) fn own_index(&self, id: &ServiceId) -> Option<usize> {
        match self.places.get(id) {
            Some(Place::Own(index)) => Some(*index),
            _ => None,
        }
    }

    pub(super) fn own(&self, id: &ServiceId) -> Option<&Unit> {
        self.own_index(id).and_then(|index| self.units.get(index))
    }

    pub(super) fn own_mut(&mut self, id: &ServiceId) -> Option<&mut Unit> {
        let index = self.own_index(id)?;
        self.units.get_mut(index)
    }

    pub(super) fn other(&self, id: &ServiceId) -> Option<&Other> {
        match self.places.get(id) {
            Some(Place::Other(index)) => self.others.get(*index),
            _ => None,
        }
    }

    pub(super) fn other_mut(&mut self, id: &ServiceId) -> Option<&mut Other> {
        match self.places.get(id) {
            Some(Place::Other(index)) => self.others.get_mut(*index),
            _ => None,
        }
    }

    /// The definition of a service.
    pub(super) fn service(&self, id: &ServiceId) -> Option<&Service> {
        self.own(id).map(Unit::latest).or_else(|| self.other(id).map(|other| &other.service))
    }

    /// What a service itself declares to stand in for it.
    pub(super) fn fallback_of(&self, id: &ServiceId) -> &[Fallback] {
        self.service(id).map_or(&[], |service| &service.fallback)
    }

    /// How a service stands to those who need it so.
    pub(super) fn standing(&self, id: &ServiceId, condition: Condition, purpose: Purpose) -> Standing {
        match self.places.get(id) {
            Some(Place::Own(index)) => {
                self.units.get(*index).map_or(Standing::GivenUp, |unit| standing_of(unit, condition, purpose))
            }
            Some(Place::Other(index)) => {
                self.others.get(*index).map_or(Standing::GivenUp, |other| standing_elsewhere(other, condition))
            }
            // What nobody defined is missing.
            None => Standing::GivenUp,
        }
    }

    /// Who meets a dependency of `dependant`.
    pub(super) fn supply(&self, dependant: &ServiceId, dependency: &Dependency, purpose: Purpose) -> Supply {
        let Dependency { on, condition, .. } = dependency;
        match self.standing(on, *condition, purpose) {
            Standing::Usable => Supply::Met(Supplier::Service(on.clone())),
            Standing::GivenUp => {
                let mut seen = HashSet::from([dependant, on]);
                self.stand_in(&dependency.fallback, *condition, purpose, &mut seen)
                    .or_else(|| self.stand_in(self.fallback_of(on), *condition, purpose, &mut seen))
                    .unwrap_or_else(|| Supply::Unmet(on.clone(), Standing::GivenUp))
            }
            standing => Supply::Unmet(on.clone(), standing),
        }
    }

    /// Who stands in for a service by its own declaration; nobody when it has none that can.
    pub(super) fn substitute(&self, id: &ServiceId) -> Option<Supply> {
        let mut seen = HashSet::from([id]);
        self.stand_in(self.fallback_of(id), Condition::Ready, Purpose::Keep, &mut seen)
    }

    /// The first of the fallbacks that is not given up itself, or what stands in for that one. Strictly in order: one
    /// that is still coming is waited for, so that the outcome does not depend on who is faster. `seen` ends cycles.
    fn stand_in<'a>(
        &'a self,
        fallbacks: &'a [Fallback],
        condition: Condition,
        purpose: Purpose,
        seen: &mut HashSet<&'a ServiceId>,
    ) -> Option<Supply> {
        for fallback in fallbacks {
            let id = match fallback {
                Fallback::Environment(variables) => return Some(Supply::Met(Supplier::Environment(variables.clone()))),
                Fallback::Service(id) => id,
            };
            if !seen.insert(id) {
                continue;
            }
            match self.standing(id, self.condition_for(id, condition), purpose) {
                Standing::Usable => return Some(Supply::Met(Supplier::Service(id.clone()))),
                Standing::Away if !self.comes_on_demand(id) => {}
                Standing::Coming | Standing::Away => return Some(Supply::Unmet(id.clone(), Standing::Coming)),
                Standing::Unheard => return Some(Supply::Unmet(id.clone(), Standing::Unheard)),
                Standing::GivenUp => {
                    if let Some(supply) = self.stand_in(self.fallback_of(id), condition, purpose, seen) {
                        return Some(supply);
                    }
                }
            }
        }
        None
    }

    /// What a service that stands in has to meet: a service that stands in for a task has to be ready.
    pub(super) fn condition_for(&self, id: &ServiceId, condition: Condition) -> Condition {
        match condition {
            Condition::Completed if !self.is_task(id) => Condition::Ready,
            condition => condition,
        }
    }

    /// Whether a service comes to an end by itself.
    pub(super) fn is_task(&self, id: &ServiceId) -> bool {
        self.service(id).is_some_and(|service| service.kind == Kind::Task)
    }

    /// Whether an own service waits for another one, over others perhaps.
    pub(super) fn waits_for<'a>(
        &'a self,
        id: &'a ServiceId,
        other: &ServiceId,
        seen: &mut HashSet<&'a ServiceId>,
    ) -> bool {
        let Some(unit) = self.own(id).filter(|unit| unit.phase == Phase::Blocked && seen.insert(id)) else {
            return false;
        };
        unit.latest().dependencies.iter().any(|dependency| match self.supply(id, dependency, Purpose::Start) {
            Supply::Unmet(on, Standing::Coming) => {
                on == *other || self.service(&on).is_some_and(|service| self.waits_for(&service.id, other, seen))
            }
            _ => false,
        })
    }

    /// What can be hoped of each own service, in their order: the best that does not contradict itself.
    pub(super) fn prospects(&self) -> Vec<Prospect> {
        let is_blocked = |unit: &Unit| unit.phase == Phase::Blocked;
        let first = |unit: &Unit| if is_blocked(unit) { Prospect::Hopeless } else { Prospect::Good };
        let mut prospects: Vec<Prospect> = self.units.iter().map(first).collect();
        let blocked: Vec<(usize, Vec<Supply>)> = self
            .units
            .iter()
            .enumerate()
            .filter(|(_, unit)| is_blocked(unit))
            .map(|(index, unit)| {
                let required = unit.latest().dependencies.iter().filter(|it| it.required);
                (index, required.map(|it| self.supply(&unit.service.id, it, Purpose::Start)).collect())
            })
            .collect();
        loop {
            let mut is_changed = false;
            for (index, supplies) in &blocked {
                let worst = supplies.iter().map(|supply| self.prospect(supply, &prospects)).max();
                let worst = worst.unwrap_or(Prospect::Good);
                if let Some(prospect) = prospects.get_mut(*index).filter(|prospect| worst < **prospect) {
                    *prospect = worst;
                    is_changed = true;
                }
            }
            if !is_changed {
                return prospects;
            }
        }
    }

    /// What can be hoped of a dependency.
    pub(super) fn prospect(&self, supply: &Supply, prospects: &[Prospect]) -> Prospect {
        match supply {
            Supply::Met(_) | Supply::Unmet(_, Standing::Usable) => Prospect::Good,
            Supply::Unmet(_, Standing::GivenUp | Standing::Away) => Prospect::Hopeless,
            Supply::Unmet(_, Standing::Unheard) => Prospect::Uncertain,
            Supply::Unmet(on, Standing::Coming) => match self.own_index(on) {
                Some(index) => prospects.get(index).copied().unwrap_or(Prospect::Good),
                None if self.other(on).is_some_and(|it| it.state == Some(State::Blocked)) => Prospect::Uncertain,
                None => Prospect::Good,
            },
        }
    }

    /// Whether a service that does not run is started as soon as it has to stand in.
    fn comes_on_demand(&self, id: &ServiceId) -> bool {
        if let Some(unit) = self.own(id) {
            return unit.is_standby() && unit.wanted == Wanted::Undecided && unit.missing.is_none();
        }
        self.other(id).is_some_and(|other| {
            other.service.start == Start::Standby && matches!(other.state, Some(State::Declared | State::Stopping))
        })
    }

    /// Whether a service is to run; unknown for one that was never heard of.
    pub(super) fn runs(&self, id: &ServiceId) -> Option<bool> {
        if let Some(unit) = self.own(id) {
            return Some(unit.is_to_run());
        }
        self.other(id).map_or(Some(false), |other| other.runs)
    }

    /// Which own standbys somebody needs.
    pub(super) fn needed(&self) -> Vec<bool> {
        let mut needed = vec![false; self.units.len()];
        let mut work: Vec<&ServiceId> = Vec::new();
        work.extend(self.units.iter().filter(|unit| unit.wanted == Wanted::Up).map(|unit| &unit.service.id));
        work.extend(self.others.iter().filter(|other| other.runs == Some(true)).map(|other| &other.service.id));
        while let Some(id) = work.pop() {
            let Some(service) = self.service(id) else { continue };
            let mut path = Vec::new();
            for dependency in &service.dependencies {
                path.push(&dependency.on);
                if self.standing(&dependency.on, dependency.condition, Purpose::Keep) == Standing::GivenUp {
                    let mut seen = HashSet::from([id, &dependency.on]);
                    let _found = self.path_to_stand_in(&dependency.fallback, &mut seen, &mut path)
                        || self.path_to_stand_in(self.fallback_of(&dependency.on), &mut seen, &mut path);
                }
            }
            if self.standing(id, Condition::Ready, Purpose::Keep) == Standing::GivenUp {
                self.path_to_stand_in(&service.fallback, &mut HashSet::from([id]), &mut path);
            }
            for id in path {
                let Some(index) = self.own_index(id) else { continue };
                let Some((unit, mark)) = self.units.get(index).zip(needed.get_mut(index)) else { continue };
                if unit.is_standby() && unit.wanted == Wanted::Undecided && !std::mem::replace(mark, true) {
                    work.push(id);
                }
            }
        }
        needed
    }

    /// All that is looked at until a stand-in is found, the found one last. Those that were given up are needed too:
    /// so they are tried again.
    fn path_to_stand_in<'a>(
        &'a self,
        fallbacks: &'a [Fallback],
        seen: &mut HashSet<&'a ServiceId>,
        path: &mut Vec<&'a ServiceId>,
    ) -> bool {
        for fallback in fallbacks {
            let Fallback::Service(id) = fallback else { return true };
            if !seen.insert(id) {
                continue;
            }
            path.push(id);
            match self.standing(id, Condition::Ready, Purpose::Keep) {
                Standing::Usable | Standing::Coming | Standing::Unheard => return true,
                Standing::Away if self.comes_on_demand(id) => return true,
                Standing::Away => {}
                Standing::GivenUp => {
                    if self.path_to_stand_in(self.fallback_of(id), seen, path) {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Whether a running standby must not be ended yet, although nobody needs it: one that it can stand in for has not
    /// become usable again, or somebody still uses it and cannot be told of a change.
    pub(super) fn is_held(&self, id: &ServiceId) -> bool {
        let names = |fallbacks: &[Fallback]| fallbacks.iter().any(|it| matches!(it, Fallback::Service(it) if it == id));
        let uncertain = |on: &ServiceId, condition| {
            let standing = self.standing(on, condition, Purpose::Keep);
            matches!(standing, Standing::Coming | Standing::Unheard) && self.runs(on) != Some(false)
        };
        self.all().any(|service| {
            (names(&service.fallback) && uncertain(&service.id, Condition::Ready))
                || (self.runs(&service.id) != Some(false)
                    && service.dependencies.iter().any(|dependency| {
                        names(&dependency.fallback) && uncertain(&dependency.on, dependency.condition)
                    }))
        }) || self.units.iter().any(|unit| unit.uses(id))
    }

    fn all(&self) -> impl Iterator<Item = &Service> {
        self.units.iter().map(Unit::latest).chain(self.others.iter().map(|other| &other.service))
    }
}

/// How a dependency is told to the dependant.
pub(super) fn resolved(dependency: &Dependency, supplier: &Supplier) -> Resolved {
    let asked = dependency.on.clone();
    match supplier {
        Supplier::Service(id) => Resolved { asked, actual: Some(id.clone()), environment: BTreeMap::new() },
        Supplier::Environment(environment) => Resolved { asked, actual: None, environment: environment.clone() },
    }
}

fn standing_of(unit: &Unit, condition: Condition, purpose: Purpose) -> Standing {
    let counts = purpose == Purpose::Keep || !unit.is_leaving();
    let is_usable = match (unit.phase, condition) {
        (Phase::Up, Condition::Started | Condition::Ready) => counts,
        // One that was given up is no more than tried: what stands in for it goes on until it is ready.
        (Phase::Starting, Condition::Started) => {
            counts && !unit.given_up && unit.run.as_ref().is_some_and(|run| run.pid.is_some())
        }
        (Phase::Completed, Condition::Completed) => true,
        (Phase::Completed, _) => unit.service.kind == Kind::Task,
        _ => false,
    };
    if is_usable {
        return Standing::Usable;
    }
    if unit.given_up || (unit.missing.is_some() && !unit.is_live()) {
        return Standing::GivenUp;
    }
    match unit.phase {
        Phase::Declared | Phase::Stopped | Phase::Completed => Standing::Away,
        _ if unit.is_to_run() => Standing::Coming,
        _ => Standing::Away,
    }
}

fn standing_elsewhere(other: &Other, condition: Condition) -> Standing {
    let Some(state) = other.state else {
        // What stands in for it is better than what is not known.
        return if other.given_up { Standing::GivenUp } else { Standing::Unheard };
    };
    let is_usable = match condition {
        Condition::Started if state == State::Starting => !other.given_up,
        Condition::Started | Condition::Ready => matches!(state, State::Ready | State::Degraded | State::Completed),
        Condition::Completed => state == State::Completed,
    };
    if is_usable {
        return Standing::Usable;
    }
    if other.given_up {
        return Standing::GivenUp;
    }
    match state {
        State::Stopping | State::Stopped => Standing::Away,
        // Its supervisor runs, and was not told yet what it is to do; that is no loss.
        State::Declared if other.service.start == Start::Always => Standing::Unheard,
        State::Declared => Standing::Away,
        _ => Standing::Coming,
    }
}
