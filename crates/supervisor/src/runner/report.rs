//! What a supervisor tells about its services: statuses and explanations, made from what the machine knows.

use std::time::{Duration, Instant};

use masque_fleet::{
    model::{Service, ServiceId},
    status::{ServiceStatus, State},
};
use masque_types::time::Timestamp;

use crate::{
    control::Wait,
    machine::{Board, View},
};

/// Steps of a chain of waiting that are told.
const DEEPEST: usize = 32;

/// The two clocks of a supervisor: time since its start for the machine, and the time of day for people.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    began: Instant,
    read: fn() -> Timestamp,
}

impl Clocks {
    pub(super) fn start(read: fn() -> Timestamp) -> Self {
        Self { began: Instant::now(), read }
    }

    /// Time since the start.
    pub(super) fn offset(&self) -> Duration {
        self.began.elapsed()
    }

    /// When a time since the start comes, or came.
    pub(super) fn instant(&self, offset: Duration) -> Instant {
        self.began + offset
    }

    /// The time of day.
    pub(super) fn now(&self) -> Timestamp {
        (self.read)()
    }

    /// The time of day of an offset that was.
    pub(super) fn date(&self, offset: Duration) -> Timestamp {
        let ago = self.offset().saturating_sub(offset).as_millis();
        Timestamp(self.now().0.saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX)))
    }
}

/// A service as its supervisor sees it, before its memory is measured.
pub(super) fn status(service: &Service, view: View, dropped_bytes: u64, clocks: &Clocks) -> ServiceStatus {
    ServiceStatus {
        id: service.id.clone(),
        group: service.group.clone(),
        state: view.state,
        why: view.why,
        blocked_on: view.blocked_on,
        substituted_by: view.substituted_by,
        pid: view.pid,
        port: service.port,
        since: clocks.date(view.since),
        started_at: view.started.map(|started| clocks.date(started)),
        ready_after: view.ready_after,
        restarts: view.restarts,
        last_end: view.last_end.map(|end| end.to_string()),
        last_check: view.last_check,
        memory_bytes: None,
        dropped_bytes,
    }
}

/// What a service waits for, and what that waits for. Each service is told once.
pub(super) fn waits(board: &Board, id: &ServiceId, elsewhere: impl Fn(&ServiceId) -> Option<State>) -> Vec<Wait> {
    let mut waits: Vec<Wait> = Vec::new();
    let blocked_on = |id: &ServiceId| board.view(id).map(|view| view.blocked_on).unwrap_or_default();
    let mut open: Vec<(usize, ServiceId)> = blocked_on(id).into_iter().rev().map(|id| (1, id)).collect();
    while let Some((depth, id)) = open.pop() {
        if waits.iter().any(|wait| wait.id == id) || depth > DEEPEST {
            continue;
        }
        open.extend(blocked_on(&id).into_iter().rev().map(|id| (depth + 1, id)));
        let (state, why) = match board.view(&id) {
            Some(view) => (Some(view.state), view.why),
            None => (elsewhere(&id), Vec::new()),
        };
        waits.push(Wait { depth, id, state, why });
    }
    waits
}
