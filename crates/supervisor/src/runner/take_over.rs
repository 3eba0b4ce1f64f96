//! The begin and the end of a supervisor: what an earlier one had started goes on, what is left of it ends; and at the
//! end everything that was opened is closed.

use std::sync::Arc;

use futures::future::join_all;
use masque_fleet::model::ServiceId;
use masque_sandbox::service::{ServiceGroups, ServiceProcess};

use super::{Begin, Runner, unit::Live};
use crate::{
    Error,
    adoption::{self, Stray, Survivor},
    machine::{End, Input, Selection},
    probe::Hooks,
    process::{self, Surroundings},
    record::{Ended, ProcessId},
};

impl Runner {
    /// Adopts what runs, ends what is left over, and tells the machine what is wanted.
    pub(super) async fn take_over(&mut self) -> Result<(), Error> {
        let mut census = adoption::take(&self.records, &self.token, &self.groups)?;
        // After a fleet was ended its tasks are due again; after a death of its supervisor they are not.
        let was_ended = self.records.is_closing() && census.survivors.is_empty();
        if was_ended && self.spec.begin == Begin::Up {
            self.records.begin_anew();
            census.completed.clear();
        }
        let (known, unknown): (Vec<_>, Vec<_>) =
            census.survivors.into_iter().partition(|survivor| self.units.contains_key(&survivor.cookie.id));
        let gone = unknown.into_iter().map(|survivor| Stray { cookie: survivor.cookie, process: survivor.process });
        self.end_strays(census.strays.into_iter().chain(gone)).await;
        self.groups.sweep(&format!("{}/{}/", self.fleet.name, self.spec.host));
        let mut lost = census.lost;
        for survivor in known {
            let (id, instance) = (survivor.cookie.id.clone(), survivor.cookie.instance);
            match self.adopt(survivor).await? {
                Some(input) => self.tell(input),
                // It ended between the look and the grip.
                None => lost.push((id, instance)),
            }
        }
        for (ids, end) in [(census.completed, End::Code(0)), (lost, End::Unknown)] {
            ids.into_iter().for_each(|(id, instance)| self.adopt_end(id, instance, end));
        }
        self.begin();
        // While what was just started is on its way.
        self.open_logs();
        Ok(())
    }

    /// Tells the machine what is wanted.
    fn begin(&mut self) {
        let resumes = self.spec.begin == Begin::Resume;
        if resumes && self.records.is_closing() {
            return self.end();
        }
        if !resumes {
            self.records.want_all();
        }
        self.tell_missing();
        let held: Vec<ServiceId> = self.records.held().iter().cloned().collect();
        let wanted = self.wanted_standbys(&held);
        if !wanted.is_empty() {
            // Before anything else: a standby that runs would be ended as one that nobody needs.
            self.tell(Input::Up(Selection::Services(wanted)));
        }
        if !held.is_empty() {
            self.tell(Input::Down(Selection::Services(held.clone())));
        }
        self.tell(Input::Up(Selection::AllBut(held)));
    }

    /// The standbys that a person wants to run, without those that would start what a person stopped.
    fn wanted_standbys(&self, held: &[ServiceId]) -> Vec<ServiceId> {
        let is_free = |id: &&ServiceId| {
            let needs = self.with_needs(vec![(*id).clone()]);
            self.units.contains_key(*id) && !needs.iter().any(|need| held.contains(need))
        };
        self.records.wanted().iter().filter(is_free).cloned().collect()
    }

    /// Tells what cannot be started because it is not there, and what is there now.
    pub(super) fn tell_missing(&mut self) {
        let own = &self.spec.environment;
        let resting = self.units.values().filter(|unit| unit.live.is_none()).map(|unit| &unit.service);
        let looked: Vec<_> = resting.map(|service| (Arc::clone(service), process::missing(service, own))).collect();
        for (service, missing) in looked {
            match missing {
                Some(why) => {
                    self.missing.insert(service.id.clone());
                    self.tell(Input::Missing { id: service.id.clone(), why });
                }
                None if self.missing.remove(&service.id) => {
                    self.tell(Input::Redefine(Box::new((*service).clone())));
                }
                None => {}
            }
        }
    }

    /// Takes over a running instance; none when nothing of it runs any more.
    async fn adopt(&mut self, survivor: Survivor) -> Result<Option<Input>, Error> {
        let Survivor { cookie, process, ready, told } = survivor;
        let (id, instance) = (cookie.id.clone(), cookie.instance);
        let Some(start) = cookie.start() else { return Ok(None) };
        let service = self.service_of(&id)?;
        let (host, own) = (self.host_of(&id), &self.spec.environment);
        let variables = self.told(told.as_deref().unwrap_or_default());
        let surroundings = Surroundings::of_running(&service, &host, &start, &variables, own, &self.groups);
        let surroundings = Arc::new(surroundings);
        let adopted = match grip(&start, process, &self.groups) {
            Ok(Some(adopted)) => adopted,
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::error!("{id}: process {} cannot be taken over: {error}", process.pid);
                // As long as it runs, the next start would be a second one.
                self.end_stray(Stray { cookie, process }).await?;
                return Ok(None);
            }
        };
        self.records.adopted(&id, instance, cookie.as_str(), process, ready);
        let hooks = self.capture(&id).and_then(|capture| self.hooks_again(&cookie, process, &capture));
        let hooks = hooks.unwrap_or_else(|error| {
            tracing::warn!("{id}: what it prints and says is not heard: {error}");
            Hooks::default()
        });
        tracing::debug!("{id} runs on as process {}", process.pid);
        self.await_end(&id, instance, Live::new(service, instance, Arc::new(adopted), surroundings, hooks));
        Ok(Some(Input::Adopted { id, instance, pid: process.pid, ready, told }))
    }

    /// An instance that ended while nobody looked, as if it had been adopted before.
    fn adopt_end(&mut self, id: ServiceId, instance: u64, end: End) {
        if !self.units.contains_key(&id) {
            return;
        }
        let is_completed = end.is_success();
        self.records.ended(&id, if is_completed { Ended::Completed } else { Ended::Otherwise });
        self.tell(Input::Adopted { id: id.clone(), instance, pid: 0, ready: false, told: None });
        self.tell(Input::Ended { id, instance, end });
    }

    async fn end_strays(&self, strays: impl Iterator<Item = Stray>) {
        let end = |stray: Stray| async {
            let id = stray.cookie.id.clone();
            if let Err(error) = self.end_stray(stray).await {
                tracing::error!("{id}: {error}");
            }
        };
        join_all(strays.map(end)).await;
    }

    async fn end_stray(&self, stray: Stray) -> Result<(), Error> {
        let Stray { cookie, process } = stray;
        let Some(start) = cookie.start() else { return Ok(()) };
        // What is not there any more is what was wanted.
        let Some(adopted) = grip(&start, process, &self.groups)? else { return Ok(()) };
        tracing::warn!("process {} is left of an earlier start of {} and is ended", process.pid, cookie.id);
        Ok(adopted.kill_tree().await?)
    }

    /// Reads what services have printed and will print, of all of them.
    fn open_logs(&mut self) {
        let ids: Vec<ServiceId> = self.units.keys().cloned().collect();
        for id in ids {
            if let Err(error) = self.capture(&id) {
                tracing::warn!("{id}: what it prints is not read: {error}");
            }
        }
    }

    /// Closes what was opened for services.
    pub(super) async fn release(&mut self) {
        let captures: Vec<_> = self.units.values_mut().filter_map(|unit| unit.log.take()).collect();
        let close = |capture| async {
            // One that a client reads still is read to its end by the next supervisor.
            if let Some(capture) = Arc::into_inner(capture) {
                crate::logs::Capture::close(capture).await;
            }
        };
        join_all(captures.into_iter().map(close)).await;
    }
}

/// Gets hold of a process; none when it is not there any more.
fn grip(
    start: &process::Instance,
    process: ProcessId,
    groups: &ServiceGroups,
) -> Result<Option<ServiceProcess>, Error> {
    match process::adopt(start, process.pid, process.start_time, groups) {
        Ok(adopted) => Ok(Some(adopted)),
        Err(Error::Sandbox(masque_sandbox::Error::Gone { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}
