//! [`Roster`]: who is there, who is missing, and who stands in for whom.
//!
//! Leaves out failures at run time: here a service is missing when it is not in the fleet, or cannot be started at all.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::{Dependency, Fallback, Fleet, Service, ServiceId};

/// Who meets a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution<'a> {
    /// The service that was asked for.
    Itself(&'a ServiceId),
    /// Another service stands in.
    Service(&'a ServiceId),
    /// Nothing runs; the dependant is told by these variables.
    Environment(&'a BTreeMap<String, String>),
    /// Nobody.
    Nobody,
}

impl<'a> Resolution<'a> {
    /// The service that meets it, when one does.
    #[must_use]
    pub fn service(self) -> Option<&'a ServiceId> {
        match self {
            Self::Itself(id) | Self::Service(id) => Some(id),
            Self::Environment(_) | Self::Nobody => None,
        }
    }
}

/// The services of a fleet by id, and those among them that cannot be started.
#[derive(Debug)]
pub struct Roster<'a> {
    services: HashMap<&'a ServiceId, &'a Service>,
    missing: BTreeSet<ServiceId>,
}

impl<'a> Roster<'a> {
    /// The services of a fleet. Those whose script was not found are missing, and so are the given ones.
    #[must_use]
    pub fn of(fleet: &'a Fleet, missing: &BTreeSet<ServiceId>) -> Self {
        let services: HashMap<_, _> = fleet.services.iter().rev().map(|service| (&service.id, service)).collect();
        let lost = |service: &&Service| service.program.script.is_some() && service.program.script_file.is_none();
        let lost = fleet.services.iter().filter(lost).map(|service| service.id.clone());
        Self { services, missing: lost.chain(missing.iter().cloned()).collect() }
    }

    /// The service of that id, startable or not.
    #[must_use]
    pub fn service(&self, id: &ServiceId) -> Option<&'a Service> {
        self.services.get(id).copied()
    }

    /// Whether a service is in the fleet and can be started.
    #[must_use]
    pub fn is_there(&self, id: &ServiceId) -> bool {
        self.services.contains_key(id) && !self.missing.contains(id)
    }

    /// Who meets a dependency: the service itself, otherwise what the dependency names, otherwise what the service
    /// names. A stand-in that is missing too gives way to its own ones.
    #[must_use]
    pub fn resolve(&self, dependency: &'a Dependency) -> Resolution<'a> {
        if self.is_there(&dependency.on) {
            return Resolution::Itself(&dependency.on);
        }
        let mut asked = vec![&dependency.on];
        match self.first(&dependency.fallback, &mut asked) {
            Resolution::Nobody => self.stand_in_for(&dependency.on),
            found => found,
        }
    }

    /// Who stands in for a service that is missing, as the service itself declares it.
    #[must_use]
    pub fn stand_in_for(&self, id: &'a ServiceId) -> Resolution<'a> {
        let own = self.service(id).map_or(&[][..], |service| &service.fallback);
        self.first(own, &mut vec![id])
    }

    /// The first of some fallbacks that is there. `asked` holds what was tried, so that circles end.
    fn first(&self, fallbacks: &'a [Fallback], asked: &mut Vec<&'a ServiceId>) -> Resolution<'a> {
        for fallback in fallbacks {
            let id = match fallback {
                Fallback::Environment(variables) => return Resolution::Environment(variables),
                Fallback::Service(id) if asked.contains(&id) => continue,
                Fallback::Service(id) => id,
            };
            if self.is_there(id) {
                return Resolution::Service(id);
            }
            asked.push(id);
            let own = self.service(id).map_or(&[][..], |service| &service.fallback);
            match self.first(own, asked) {
                Resolution::Nobody => {}
                found => return found,
            }
        }
        Resolution::Nobody
    }

    /// Every service that could meet a dependency at some time, whoever fails: not the asked one itself.
    #[must_use]
    pub fn candidates(&self, dependency: &'a Dependency) -> Vec<&'a ServiceId> {
        let own = |id: &ServiceId| self.service(id).map_or(&[][..], |service| &service.fallback);
        let mut found: Vec<&ServiceId> = Vec::new();
        let mut open: Vec<&Fallback> = own(&dependency.on).iter().chain(&dependency.fallback).collect();
        while let Some(fallback) = open.pop() {
            if let Fallback::Service(id) = fallback
                && *id != dependency.on
                && !found.contains(&id)
            {
                found.push(id);
                open.extend(own(id));
            }
        }
        found.retain(|id| self.is_there(id));
        found.sort();
        found
    }
}
