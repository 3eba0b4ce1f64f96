//! Replacing services wave by wave: when the manifest was read again, and when somebody asks for it.

use std::{sync::Arc, time::Duration};

use masque_fleet::model::{Fleet, Service, ServiceId, Start};
use tokio::sync::oneshot;

use super::{Runner, event::Event, unit::Unit};
use crate::{
    Error,
    control::{Answer, Reply, Rolled, Target},
    machine::{Input, Rolling, RollingReport, RollingSpec, RollingStep, Selection},
};

/// Services that may be away at the same time.
const MOST_AWAY: usize = 4;
/// How long a wave may take beyond what its services are given.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the answer to a client goes.
pub(super) type Answered = oneshot::Sender<Result<Reply, Error>>;

/// A replacement that goes on.
#[derive(Debug)]
pub(super) struct Roll {
    reply: Option<Answered>,
    /// Absent as long as the manifest is being read.
    rolling: Option<Rolling>,
}

impl Runner {
    /// Reads the manifest again, beside the loop.
    pub(super) fn begin_reload(&mut self, reply: Option<Answered>) {
        let Some(reload) = self.spec.reload.clone() else {
            return refuse(reply, "this supervisor has no manifest to read again".to_owned());
        };
        if let Some(why) = self.why_not_roll() {
            return refuse(reply, why);
        }
        self.roll = Some(Roll { reply, rolling: None });
        let hear = self.hear.clone();
        self.tasks.spawn(async move {
            let read = tokio::task::spawn_blocking(move || (reload.0)().map(Box::new)).await;
            let read = read.unwrap_or_else(|error| Err(format!("the manifest cannot be read: {error}")));
            // Without a runner nobody needs it.
            let _ = hear.send(Event::Loaded(read));
        });
    }

    /// Takes the manifest that was read: what is new starts, what is gone ends, what changed is replaced.
    pub(super) fn loaded(&mut self, fleet: Result<Box<Fleet>, String>) {
        // Everything ends meanwhile.
        let Some(Roll { reply, .. }) = self.roll.take() else { return };
        let fleet = match fleet {
            Ok(fleet) => Arc::new(*fleet),
            Err(why) => return refuse(reply, why),
        };
        let owned: Vec<Service> = fleet.services.iter().filter(|service| self.spec.owns(service)).cloned().collect();
        self.gone.extend(self.units.keys().filter(|id| !owned.iter().any(|service| service.id == **id)).cloned());
        // Put back before it had ended, it is wanted again.
        let back: Vec<Service> = owned.iter().filter(|service| self.gone.contains(&service.id)).cloned().collect();
        self.gone.retain(|id| !owned.iter().any(|service| service.id == *id));
        let gone: Vec<ServiceId> = self.gone.iter().cloned().collect();
        let (known, new): (Vec<Service>, Vec<Service>) =
            owned.into_iter().partition(|service| self.units.contains_key(&service.id));
        let is_other = |service: &Service| self.units.get(&service.id).is_some_and(|unit| *unit.service != *service);
        let replacements: Vec<Service> = known.into_iter().filter(is_other).collect();
        self.fleet = fleet;
        self.tell_machine(Input::Down(Selection::Services(gone)));
        self.forget_gone();
        let is_begun =
            |service: &&Service| service.start == Start::Always && !self.records.held().contains(&service.id);
        let begun: Vec<ServiceId> =
            new.iter().chain(&back).filter(is_begun).map(|service| service.id.clone()).collect();
        self.tell_of_others();
        for service in new {
            self.tell_machine(Input::Redefine(Box::new(service)));
        }
        self.tell_missing();
        self.tell_machine(Input::Up(Selection::Services(begun)));
        self.roll_out(Vec::new(), replacements, reply);
    }

    /// Tells the machine how the services of other supervisors are defined, and where they stand.
    fn tell_of_others(&mut self) {
        let others = self.fleet.services.iter().filter(|service| !self.spec.owns(service));
        for service in others.cloned().collect::<Vec<_>>() {
            let (id, state) = (service.id.clone(), self.elsewhere.get(&service.id).copied());
            self.tell_machine(Input::Elsewhere(Box::new(service)));
            self.tell_machine(Input::Remote { id, state });
        }
    }

    /// Forgets the services that the manifest has no more, as far as nothing of them runs.
    pub(super) fn forget_gone(&mut self) {
        for id in &self.gone {
            if self.units.get(id).is_some_and(|unit| unit.live.is_none()) {
                self.units.remove(id);
            }
        }
    }

    /// Replaces services in waves as they are.
    pub(super) fn begin_roll(&mut self, target: Target, reply: Answered) {
        if let Some(why) = self.why_not_roll() {
            return refuse(Some(reply), why);
        }
        match self.select(target) {
            Ok(selection) => self.roll_out(self.selected(&selection), Vec::new(), Some(reply)),
            Err(error) => refuse(Some(reply), error.to_string()),
        }
    }

    fn roll_out(&mut self, restart: Vec<ServiceId>, replacements: Vec<Service>, reply: Option<Answered>) {
        let current = self.units.values().map(|unit| (*unit.service).clone()).collect();
        let spec = RollingSpec { current, restart, replacements, max_unavailable: MOST_AWAY, patience: PATIENCE };
        let rolling = Rolling::new(spec, &self.board.views());
        self.roll = Some(Roll { reply, rolling: Some(rolling) });
        self.roll_on();
    }

    /// Takes the next steps of a replacement, if one goes on.
    pub(super) fn roll_on(&mut self) {
        while let Some(rolling) = self.roll.as_mut().and_then(|roll| roll.rolling.as_mut()) {
            match rolling.step(self.clocks.offset(), &self.board.views()) {
                RollingStep::Tell(inputs) if inputs.is_empty() => return,
                RollingStep::Tell(inputs) => inputs.into_iter().for_each(|input| self.tell_machine(input)),
                RollingStep::Done(report) => return self.rolled(report),
            }
        }
    }

    /// When a replacement has to be looked at, although nothing happens.
    pub(super) fn roll_timer(&self) -> Option<Duration> {
        self.roll.as_ref()?.rolling.as_ref()?.next_timer()
    }

    fn rolled(&mut self, report: RollingReport) {
        let reply = self.roll.take().and_then(|roll| roll.reply);
        let RollingReport { waves, halted, rolled_back } = report;
        match reply {
            // A client may have gone.
            Some(reply) => {
                let rolled = Rolled { waves, halted, rolled_back };
                _ = reply.send(Ok(Reply::done(vec![Answer::Rolled(rolled)])));
            }
            None => match halted {
                Some(why) => tracing::error!("the replacement was halted: {why}"),
                None => tracing::info!("{} services were replaced", waves.iter().flatten().count()),
            },
        }
    }

    /// Gives a replacement up, because everything ends.
    pub(super) fn abandon_roll(&mut self) {
        if let Some(roll) = self.roll.take() {
            refuse(roll.reply, "the supervisor is ending".to_owned());
        }
    }

    /// Takes the definition that a service has from its next start on.
    pub(super) fn redefine(&mut self, service: &Service) {
        if !self.spec.owns(service) {
            return;
        }
        match self.units.get_mut(&service.id) {
            Some(unit) => {
                unit.service = Arc::new(service.clone());
                if let Some(log) = &unit.log {
                    log.keep(service.logs.clone());
                }
            }
            None => drop(self.units.insert(service.id.clone(), Unit::new(service))),
        }
    }

    fn why_not_roll(&self) -> Option<String> {
        if self.is_ending() {
            return Some("the supervisor is ending".to_owned());
        }
        self.roll.is_some().then(|| "another replacement goes on; wait for its end".to_owned())
    }
}

fn refuse(reply: Option<Answered>, why: String) {
    match reply {
        // A client may have gone.
        Some(reply) => _ = reply.send(Err(Error::Refused(why))),
        None => tracing::warn!("the manifest was not taken: {why}"),
    }
}
