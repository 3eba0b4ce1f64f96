//! Telling those who follow a run that something may have changed. Leaves out finding out what: they read.
//!
//! One `tokio::sync::watch` channel per watched run, kept in a map while anyone holds a [`Watch`] on it, so that
//! thousands of watches cost a map entry each and a write wakes only those of its run.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use masque_types::id::RunId;
use tokio::sync::watch;

/// All watches of one store.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    channels: Mutex<Channels>,
}

#[derive(Debug, Default)]
struct Channels {
    by_target: HashMap<Target, watch::Sender<()>>,
    closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Target {
    Run(RunId),
    Any,
}

impl Hub {
    pub(crate) fn watch_run(self: &Arc<Self>, run: RunId) -> Watch {
        self.watch(Target::Run(run))
    }

    pub(crate) fn watch_any(self: &Arc<Self>) -> Watch {
        self.watch(Target::Any)
    }

    fn watch(self: &Arc<Self>, target: Target) -> Watch {
        let mut channels = self.lock();
        let receiver = if channels.closed {
            watch::channel(()).1
        } else {
            channels.by_target.entry(target).or_insert_with(|| watch::channel(()).0).subscribe()
        };
        drop(channels);
        Watch { receiver: Some(receiver), target, hub: Arc::clone(self) }
    }

    /// Whether nobody watches, so that looking for other programs' writes can be left out.
    pub(crate) fn is_idle(&self) -> bool {
        self.lock().by_target.is_empty()
    }

    /// Wakes those who watch one of these runs.
    pub(crate) fn wake(&self, runs: impl IntoIterator<Item = RunId>) {
        let channels = self.lock();
        if channels.by_target.is_empty() {
            return;
        }
        for run in runs {
            channels.wake(Target::Run(run));
        }
        channels.wake(Target::Any);
    }

    /// Wakes all: something happened, and it is not known to which run.
    pub(crate) fn wake_all(&self) {
        self.lock().by_target.values().for_each(|channel| channel.send_modify(|()| {}));
    }

    /// Ends all waiting.
    pub(crate) fn close(&self) {
        let mut channels = self.lock();
        channels.closed = true;
        channels.by_target.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channels {
    fn wake(&self, target: Target) {
        if let Some(channel) = self.by_target.get(&target) {
            channel.send_modify(|()| {});
        }
    }
}

/// A standing wish to be told when something about a run may have changed. Made by
/// [`Store::watch`](crate::Store::watch).
#[derive(Debug)]
pub struct Watch {
    receiver: Option<watch::Receiver<()>>,
    target: Target,
    hub: Arc<Hub>,
}

impl Watch {
    /// Waits until something may have changed since this watch was made or last returned. Nothing is missed: what
    /// happened in between lets it return at once. Returns at once also when the store was closed; the next read
    /// tells so.
    pub async fn changed(&mut self) {
        if let Some(receiver) = &mut self.receiver {
            // An error says that the sender is gone: the store was closed.
            let _closed = receiver.changed().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut channels = self.hub.lock();
        self.receiver = None;
        let unwatched = channels.by_target.get(&self.target).is_some_and(|channel| channel.receiver_count() == 0);
        if unwatched {
            channels.by_target.remove(&self.target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn run(number: u128) -> RunId {
        RunId::from_uuid(Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn wakes_only_the_run_and_forgets_nothing() {
        let hub = Arc::new(Hub::default());
        let (mut one, mut two) = (hub.watch_run(run(1)), hub.watch_run(run(2)));
        hub.wake([run(1)]);
        one.changed().await;
        tokio::select! {
            biased;
            () = two.changed() => panic!("woken by another run"),
            () = std::future::ready(()) => {}
        }
        hub.wake_all();
        two.changed().await;
        drop((one, two));
        assert!(hub.is_idle());
    }

    #[tokio::test]
    async fn closing_ends_the_waiting() {
        let hub = Arc::new(Hub::default());
        let mut watch = hub.watch_run(run(1));
        hub.close();
        watch.changed().await;
        hub.watch_any().changed().await;
    }
}
