//! [`Unit`]: the process, the log and the checks of one service, beside what the machine knows of it.

use std::{path::PathBuf, sync::Arc};

use masque_fleet::model::Service;
use masque_sandbox::service::ServiceProcess;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{control::Feed, logs::Capture, machine::Which, probe::Hooks, process::Surroundings};

/// What the runner holds for one service.
#[derive(Debug)]
pub(super) struct Unit {
    /// As it is started next.
    pub(super) service: Arc<Service>,
    /// Reads what it prints, over all of its starts.
    pub(super) log: Option<Arc<Capture>>,
    /// What runs.
    pub(super) live: Option<Live>,
}

/// A running instance.
#[derive(Debug)]
pub(super) struct Live {
    /// As it was started.
    pub(super) service: Arc<Service>,
    pub(super) instance: u64,
    pub(super) process: Arc<ServiceProcess>,
    pub(super) surroundings: Arc<Surroundings>,
    /// The ways in which it can say something itself.
    pub(super) hooks: Hooks,
    /// Cancelled when it is gone.
    pub(super) over: CancellationToken,
    _over: DropGuard,
    /// Dropping one ends the check.
    ready: Option<DropGuard>,
    live: Option<DropGuard>,
}

impl Unit {
    pub(super) fn new(service: &Service) -> Self {
        Self { service: Arc::new(service.clone()), log: None, live: None }
    }

    /// Whether that instance runs.
    pub(super) fn has(&self, instance: u64) -> bool {
        self.live.as_ref().is_some_and(|live| live.instance == instance)
    }

    /// What it prints, for clients.
    pub(super) fn feed(&self, logs: PathBuf) -> Feed {
        Feed { id: self.service.id.clone(), capture: self.log.clone(), logs }
    }
}

impl Live {
    pub(super) fn new(
        service: Arc<Service>,
        instance: u64,
        process: Arc<ServiceProcess>,
        surroundings: Arc<Surroundings>,
        hooks: Hooks,
    ) -> Self {
        let over = CancellationToken::new();
        let guard = over.clone().drop_guard();
        Self { service, instance, process, surroundings, hooks, over, _over: guard, ready: None, live: None }
    }

    /// The place of a check.
    pub(super) fn check(&mut self, which: Which) -> &mut Option<DropGuard> {
        match which {
            Which::Ready => &mut self.ready,
            Which::Live => &mut self.live,
        }
    }
}
