//! What people do with a running fleet, and how far a start has come.

use std::collections::BTreeMap;

use masque_fleet::{
    model::{Service, ServiceId, Start},
    status::{Change, FleetStatus, ServiceStatus, State},
};
use masque_supervisor::control::{Rolled, Target};
use masque_types::actor::Actor;
use serde_json::{Value, json};

use super::Place;
use crate::{App, Error};

impl App {
    /// Ends all services of a place in order, and its supervisor. Comes back when they have ended.
    ///
    /// # Errors
    /// When no supervisor runs there.
    pub async fn end_fleet(&self, actor: &Actor, place: &Place) -> Result<(), Error> {
        let client = place.connect_own().await?;
        self.note_fleet(actor, "fleet.down", place, Value::Null).await?;
        Ok(client.shutdown().await?)
    }

    /// Starts services, and what they need.
    ///
    /// # Errors
    /// When no supervisor runs there, or it knows no such service.
    pub async fn start_services(&self, actor: &Actor, place: &Place, target: Target) -> Result<(), Error> {
        let mut client = place.connect().await?;
        self.note_fleet(actor, "fleet.start", place, json!({ "target": target })).await?;
        Ok(client.up(target).await?)
    }

    /// Ends services; they stay so until they are started again.
    ///
    /// # Errors
    /// As for [`Self::start_services`].
    pub async fn stop_services(&self, actor: &Actor, place: &Place, target: Target) -> Result<(), Error> {
        let mut client = place.connect().await?;
        self.note_fleet(actor, "fleet.stop", place, json!({ "target": target })).await?;
        Ok(client.down(target).await?)
    }

    /// Starts services anew.
    ///
    /// # Errors
    /// As for [`Self::start_services`].
    pub async fn restart_services(&self, actor: &Actor, place: &Place, target: Target) -> Result<(), Error> {
        let (mut client, target) = (place.connect().await?, place.narrowed(target));
        self.note_fleet(actor, "fleet.restart", place, json!({ "target": target, "rolling": false })).await?;
        Ok(client.restart(target).await?)
    }

    /// Replaces services in waves; comes back when the last one is ready, or it was halted.
    ///
    /// # Errors
    /// As for [`Self::start_services`].
    pub async fn roll_services(&self, actor: &Actor, place: &Place, target: Target) -> Result<Rolled, Error> {
        let (mut client, target) = (place.connect().await?, place.narrowed(target));
        self.note_fleet(actor, "fleet.restart", place, json!({ "target": target, "rolling": true })).await?;
        Ok(client.roll(target).await?)
    }

    /// Reads the manifest again and replaces what changed, in waves.
    ///
    /// # Errors
    /// When no supervisor runs there, or the manifest has errors.
    pub async fn reload_fleet(&self, actor: &Actor, place: &Place) -> Result<Rolled, Error> {
        let mut client = place.connect_own().await?;
        self.note_fleet(actor, "fleet.reload", place, Value::Null).await?;
        Ok(client.reload().await?)
    }
}

/// How far a place has come on its way to what is wanted. Made from a status, kept up by changes.
#[derive(Debug, Clone)]
pub struct Progress {
    services: BTreeMap<ServiceId, Standing>,
}

/// Where a service stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Its group.
    pub group: Option<String>,
    /// Whether the fleet cannot do without it.
    pub required: bool,
    /// Its state.
    pub state: State,
    /// Why, in a sentence.
    pub why: String,
    /// Whether the supervisor knows it.
    is_known: bool,
    /// The services that it waits for, as of the last status.
    blocked_on: Vec<ServiceId>,
}

impl Standing {
    /// That of a service that the supervisor does not know yet.
    fn untold(service: &Service) -> Self {
        Self {
            group: service.group.clone(),
            required: service.required,
            state: State::Declared,
            why: "the supervisor does not know it: the manifest changed; take it: masque fleet reload".to_owned(),
            is_known: false,
            blocked_on: Vec::new(),
        }
    }
}

impl Progress {
    /// How far the services of a place are that start with it.
    #[must_use]
    pub fn of(place: &Place, status: &FleetStatus) -> Self {
        let of_place = |status: &&ServiceStatus| {
            place.fleet.service(&status.id).is_some_and(|service| place.owns(service) && service.start == Start::Always)
        };
        let told = || status.hosts.iter().flat_map(|host| &host.services);
        let services = told().filter(of_place);
        let standing = |status: &ServiceStatus| Standing {
            group: status.group.clone(),
            required: place.fleet.service(&status.id).is_some_and(|service| service.required),
            state: status.state,
            why: status.why.join("; "),
            is_known: true,
            blocked_on: status.blocked_on.clone(),
        };
        let is_untold =
            |service: &&Service| service.start == Start::Always && !told().any(|status| status.id == service.id);
        let untold = place.services().filter(is_untold).map(|service| (service.id.clone(), Standing::untold(service)));
        Self { services: services.map(|status| (status.id.clone(), standing(status))).chain(untold).collect() }
    }

    /// Whether the supervisor knows all that the manifest says.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.services.values().all(|standing| standing.is_known)
    }

    /// Whether that service counts.
    #[must_use]
    pub fn counts(&self, id: &ServiceId) -> bool {
        self.services.contains_key(id)
    }

    /// Takes a change. Whether it is of a service that counts.
    pub fn apply(&mut self, change: &Change) -> bool {
        let standing = self.services.get_mut(&change.id);
        standing.is_some_and(|standing| {
            standing.state = change.to;
            standing.why.clone_from(&change.why);
            true
        })
    }

    /// The services by name.
    pub fn services(&self) -> impl Iterator<Item = (&ServiceId, &Standing)> {
        self.services.iter()
    }

    /// How many of how many are there.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        (self.services.values().filter(|standing| standing.state.is_usable()).count(), self.services.len())
    }

    /// Whether nothing is on its way. Then a fresh status tells whether [`Self::is_settled`].
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let moves = |standing: &Standing| matches!(standing.state, State::Starting | State::Stopping | State::Waiting);
        !self.services.values().any(moves)
    }

    /// Whether it stays so unless something happens: whatever is blocked waits for what does not come. To be asked of a
    /// fresh status.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let waits_elsewhere = |standing: &Standing| {
            standing.state == State::Blocked && standing.blocked_on.iter().any(|id| !self.services.contains_key(id))
        };
        self.is_quiet() && !self.services.values().any(waits_elsewhere)
    }

    /// Whether everything that the fleet cannot do without is there.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.services.values().all(|standing| standing.state.is_usable() || !standing.required)
    }
}
