//! [`Reaper`]: buries orphans: processes whose parents ended and that nobody else would await. For a supervisor that is
//! process 1 of a container, or takes in the orphans of its services.

use std::{
    collections::BTreeSet,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::process::{Pid, WaitId, WaitIdOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::table;

/// Started services that are not buried yet: their ends belong to whoever started them.
static CHILDREN: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Started services that are not buried yet. Nobody is buried by the reaper while this is held.
pub(super) fn children() -> MutexGuard<'static, BTreeSet<i32>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes in the orphans of everything that this process started, and buries them.
///
/// The ends of its own children are not touched, whether they are services or were started in its own session.
#[derive(Debug)]
pub struct Reaper {
    ended: Signal,
}

impl Reaper {
    /// Begins to take in orphans. Must be called within a runtime.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn start() -> io::Result<Self> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        Ok(Self { ended: signal(SignalKind::child())? })
    }

    /// Buries orphans as they end, for ever; dropping it ends that.
    pub async fn run(mut self) {
        loop {
            bury();
            if self.ended.recv().await.is_none() {
                return;
            }
        }
    }
}

/// Buries all orphans that have ended.
fn bury() {
    let ours = children();
    // Not by getsid(2), whose answer is zero where the session began outside of this namespace of processes.
    let own_session = table::entry(std::process::id()).map(|own| own.session);
    let is_orphan = |process: &u32| {
        let entry = table::entry(*process);
        // Orphans come from services, which are sessions of their own.
        entry.is_some_and(|entry| entry.is_dead && Some(entry.session) != own_session)
    };
    for process in
        own_children().into_iter().filter(|process| i32::try_from(*process).is_ok_and(|id| !ours.contains(&id)))
    {
        if is_orphan(&process)
            && let Some(id) = i32::try_from(process).ok().and_then(Pid::from_raw)
        {
            // Somebody else was quicker.
            let _ = rustix::process::waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        }
    }
}

/// The children of all threads of this process, the ended ones included.
fn own_children() -> Vec<u32> {
    let Ok(threads) = fs_err::read_dir("/proc/self/task") else { return Vec::new() };
    let lists =
        threads.flatten().map(|thread| fs_err::read_to_string(thread.path().join("children")).unwrap_or_default());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|number| number.parse().ok()).collect::<Vec<_>>())
        .collect()
}
