//! Where services belong once nothing goes wrong any more, found out in another way than the machine does: as the
//! smallest set that is closed under the rules.

use std::collections::BTreeSet;

use masque_fleet::model::{Dependency, Fallback, Fleet, ServiceId, Start};

pub(crate) struct Expected<'a> {
    fleet: &'a Fleet,
    missing: BTreeSet<ServiceId>,
    usable: BTreeSet<ServiceId>,
    needed: BTreeSet<ServiceId>,
}

impl<'a> Expected<'a> {
    pub(crate) fn of(fleet: &'a Fleet, is_missing: impl Fn(&ServiceId) -> bool) -> Self {
        let missing = fleet.services.iter().map(|it| it.id.clone()).filter(is_missing).collect();
        let mut it = Self { fleet, missing, usable: BTreeSet::new(), needed: BTreeSet::new() };
        it.find_needed();
        loop {
            let more: Vec<ServiceId> = fleet
                .services
                .iter()
                .filter(|service| !it.usable.contains(&service.id) && !it.missing.contains(&service.id))
                .filter(|service| {
                    let needs = service.dependencies.iter();
                    needs.filter(|need| need.required).all(|need| it.is_met(&service.id, need))
                })
                .map(|service| service.id.clone())
                .collect();
            if more.is_empty() {
                return it;
            }
            it.usable.extend(more);
        }
    }

    pub(crate) fn is_usable(&self, id: &ServiceId) -> bool {
        self.usable.contains(id)
    }

    pub(crate) fn is_needed(&self, id: &ServiceId) -> bool {
        self.needed.contains(id)
    }

    pub(crate) fn has_fallbacks(&self) -> bool {
        let has = |fallback: &[Fallback]| !fallback.is_empty();
        self.fleet
            .services
            .iter()
            .any(|service| has(&service.fallback) || service.dependencies.iter().any(|it| has(&it.fallback)))
    }

    fn is_met(&self, dependant: &ServiceId, need: &Dependency) -> bool {
        match self.supplier(dependant, need) {
            Some(Some(id)) => self.usable.contains(&id),
            Some(None) => true,
            None => false,
        }
    }

    /// The service, or nothing but variables, that a dependency leads to.
    fn supplier(&self, dependant: &ServiceId, need: &Dependency) -> Option<Option<ServiceId>> {
        if !self.missing.contains(&need.on) {
            return Some(Some(need.on.clone()));
        }
        let mut seen = BTreeSet::from([dependant.clone(), need.on.clone()]);
        self.first(&need.fallback, &mut seen).or_else(|| self.first(self.fallback(&need.on), &mut seen))
    }

    fn fallback(&self, id: &ServiceId) -> &[Fallback] {
        self.fleet.service(id).map_or(&[], |service| &service.fallback)
    }

    fn first(&self, fallbacks: &[Fallback], seen: &mut BTreeSet<ServiceId>) -> Option<Option<ServiceId>> {
        for fallback in fallbacks {
            let Fallback::Service(id) = fallback else { return Some(None) };
            if !seen.insert(id.clone()) {
                continue;
            }
            if !self.missing.contains(id) {
                return Some(Some(id.clone()));
            }
            if let Some(found) = self.first(self.fallback(id), seen) {
                return Some(found);
            }
        }
        None
    }

    fn find_needed(&mut self) {
        loop {
            let before = self.needed.len();
            for service in &self.fleet.services {
                if service.start == Start::Standby && !self.needed.contains(&service.id) {
                    continue;
                }
                let mut found: Vec<Option<ServiceId>> = Vec::new();
                found.extend(service.dependencies.iter().map(|need| Some(need.on.clone())));
                found.extend(service.dependencies.iter().filter_map(|need| self.supplier(&service.id, need)));
                if self.missing.contains(&service.id) {
                    let mut seen = BTreeSet::from([service.id.clone()]);
                    found.extend(self.first(&service.fallback, &mut seen));
                }
                self.needed.extend(found.into_iter().flatten());
            }
            if self.needed.len() == before {
                return;
            }
        }
    }
}
