//! [`Board`]: all services of one supervisor, and what is known of those of others.

use std::{collections::BTreeMap, time::Duration};

use masque_fleet::model::{Fleet, Service, ServiceId};

use super::{Action, Input, View};

/// All services of one supervisor, and what is known of those of others.
#[derive(Debug)]
pub struct Board {
    views: BTreeMap<ServiceId, View>,
    now: Duration,
}

impl Board {
    /// A board for the services for which `owned` says yes; the others of the fleet are of other supervisors. `seed`
    /// decides the random part of waits.
    #[must_use]
    pub fn new(fleet: &Fleet, owned: impl Fn(&Service) -> bool, seed: u64) -> Self {
        let _ = (fleet.services.iter().filter(|service| owned(service)).count(), seed);
        Self { views: BTreeMap::new(), now: Duration::ZERO }
    }

    /// Takes what happened at `now`, and says what is to be done. Everything that follows from it follows at once.
    pub fn handle(&mut self, now: Duration, input: Input) -> Vec<Action> {
        let _ = input;
        self.now = now;
        Vec::new()
    }

    /// When [`Input::Tick`] is to be told at the latest.
    #[must_use]
    pub fn next_timer(&self) -> Option<Duration> {
        None
    }

    /// What is known of a service that the board owns, as of the last input; tell `Tick` before to have it fresh.
    #[must_use]
    pub fn view(&self, id: &ServiceId) -> Option<View> {
        self.views.get(id).cloned()
    }

    /// All services that the board owns, in the order of the fleet.
    #[must_use]
    pub fn views(&self) -> Vec<(ServiceId, View)> {
        self.views.iter().map(|(id, view)| (id.clone(), view.clone())).collect()
    }
}
