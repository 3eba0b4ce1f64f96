//! Checks: begun when the machine wants them, and told to it as they come; and what services say about themselves.

use std::sync::Arc;

use masque_fleet::model::ServiceId;
use masque_types::time::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{PIPES, Runner, event::Event, unit::Live};
use crate::{
    Error,
    adoption::Cookie,
    logs::Capture,
    machine::{Input, Which},
    probe::{Begin, Hooks, NotifySocket, Prober},
    record::ProcessId,
};

impl Runner {
    /// The ways in which an instance that is about to be started can say that it is ready.
    pub(super) fn hooks(&self, id: &ServiceId, cookie: &Cookie, capture: &Capture) -> Result<Hooks, Error> {
        let unit = self.units.get(id).ok_or_else(|| Error::Refused(format!("{id} is not supervised here")))?;
        Hooks::prepare(&unit.service, cookie.as_str(), &self.directory.join(PIPES), capture)
    }

    /// The same of an instance that is taken over.
    pub(super) fn hooks_again(&self, cookie: &Cookie, process: ProcessId, capture: &Capture) -> Result<Hooks, Error> {
        let id = &cookie.id;
        let unit = self.units.get(id).ok_or_else(|| Error::Refused(format!("{id} is not supervised here")))?;
        let started_at = self.started_at(process);
        Hooks::resume(&unit.service, cookie.as_str(), &self.directory.join(PIPES), capture, started_at)
    }

    /// The time of day at which a process was started, about.
    fn started_at(&self, process: ProcessId) -> Timestamp {
        let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec.saturating_mul(1_000);
        let ticks = rustix::param::clock_ticks_per_second().max(1);
        let started = i64::try_from(process.start_time.saturating_mul(1_000) / ticks).unwrap_or(i64::MAX);
        let second = 1_000;
        Timestamp(self.clocks.now().0.saturating_sub(up.saturating_sub(started)).saturating_sub(second))
    }

    /// Begins to check an instance by one of its probes.
    pub(super) fn watch(&mut self, id: &ServiceId, instance: u64, which: Which) {
        let Some(live) = self.live(id, instance) else { return };
        let service = Arc::clone(&live.service);
        let probe = match which {
            Which::Ready => &service.ready,
            Which::Live => &service.live,
        };
        let Some(probe) = probe else { return };
        let prober = Prober::new(probe, which, &mut live.hooks, Arc::clone(&live.surroundings));
        // One that is taken over is looked at as soon as one that was just started.
        let begin = if which == Which::Ready { Begin::Starting } else { Begin::Ready };
        let (of, process) = (id.clone(), Arc::clone(&live.process));
        let stop = CancellationToken::new();
        let over = stop.clone();
        *live.check(which) = Some(stop.drop_guard());
        let hear = self.hear.clone();
        let tell = move |checked: crate::probe::Checked| {
            let input = Input::Probed { id: of.clone(), instance, which, outcome: checked.outcome, took: checked.took };
            // Without a runner nobody needs it.
            let _ = hear.send(Event::Machine(input));
        };
        let watch = prober.watch(begin, process, tell);
        self.tasks.spawn(async move {
            over.run_until_cancelled(watch).await;
        });
    }

    /// Hears what an instance says about itself, as long as it lives.
    pub(super) fn hear_notices(&mut self, id: &ServiceId, live: &mut Live) {
        let Some(mut socket) = live.hooks.take_notices() else { return };
        let (say, id, instance) = (self.say.clone(), id.clone(), live.instance);
        let (process, over) = (Arc::clone(&live.process), live.over.clone());
        let heard = async move {
            while let Some(what) = next(&mut socket, &process, &id).await {
                if say.send(Input::Notified { id: id.clone(), instance, what }).await.is_err() {
                    return;
                }
            }
        };
        self.tasks.spawn(async move {
            over.run_until_cancelled(heard).await;
        });
    }
}

async fn next(
    socket: &mut NotifySocket,
    process: &masque_sandbox::service::ServiceProcess,
    id: &ServiceId,
) -> Option<crate::machine::Notice> {
    match socket.next(process).await {
        Ok(notice) => Some(notice),
        Err(error) => {
            tracing::error!("{id}: what it says about itself cannot be heard: {error}");
            None
        }
    }
}
