//! Keeps a run's lease alive while a worker drives it, whatever the current step does.

use std::{sync::Arc, time::Duration};

use masque_store::Store;
use masque_types::{
    id::{Epoch, RunId},
    time::Timestamp,
};
use tokio::{sync::watch, task::JoinSet};

use crate::driver::Clock;

/// A lease that renews itself every third of its time, in a task of its own.
pub(crate) struct Heartbeat {
    task: JoinSet<()>,
    lost: watch::Receiver<bool>,
    until: watch::Receiver<Timestamp>,
}

/// What a lease is renewed with.
pub(crate) struct LeaseTerms {
    pub(crate) run: RunId,
    pub(crate) epoch: Epoch,
    pub(crate) length: Duration,
    pub(crate) until: Timestamp,
}

impl Heartbeat {
    pub(crate) fn start(store: Store, clock: Arc<Clock>, terms: LeaseTerms) -> Self {
        let (say_lost, lost) = watch::channel(false);
        let (say_until, until) = watch::channel(terms.until);
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                tokio::time::sleep(terms.length / 3).await;
                let next = clock().plus(terms.length);
                match store.renew(terms.run, terms.epoch, next).await {
                    Ok(true) => {
                        say_until.send_replace(next);
                    }
                    Ok(false) => break,
                    // The store may come back before the lease ends; until then nobody else can hold it.
                    Err(_) if clock() < *say_until.borrow() => {}
                    Err(_) => break,
                }
            }
            say_lost.send_replace(true);
        });
        Self { task, lost, until }
    }

    /// Resolves when the lease is lost.
    pub(crate) async fn lost(&self) {
        let mut lost = self.lost.clone();
        // An error means that the task is gone, which is a lost lease too.
        let _ = lost.wait_for(|lost| *lost).await;
    }

    /// Until when the lease is known to hold.
    pub(crate) fn until(&self) -> Timestamp {
        *self.until.borrow()
    }

    pub(crate) async fn stop(mut self) {
        self.task.shutdown().await;
    }
}
