//! Watching: a long-lived sync that follows the changes of its directory.
//!
//! Editors save by renaming, checkouts change thousands of files, the kernel drops events when there are too many: so an
//! event is only a hint where to look. What is there decides, and everything is looked at again from time to time.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    inotify::Listener,
    pending::Pending,
    scan::{Changes, Enter, Syncer},
    scope::Scope,
};
use crate::Error;

/// How long nothing must change before it is looked at.
const QUIET: Duration = Duration::from_millis(100);
/// How long changes are waited for at most.
const LONGEST: Duration = Duration::from_millis(500);
/// How often everything is looked at, whatever the kernel said.
const SAFETY: Duration = Duration::from_secs(60);
/// How often, when not everything can be watched.
const POLL: Duration = Duration::from_secs(3);

/// What happens while watching.
#[derive(Debug)]
pub enum Report {
    /// Files were looked at.
    Scanned(Changes),
    /// Texts that were new have vectors now.
    Embedded(u64),
    /// Not everything can be watched, so that it is looked at every few seconds; why, and what to do.
    Polling(String),
    /// The store or the embedding model failed; it is tried again.
    Failed(Error),
}

/// Told what happens.
type Told = Box<dyn Fn(Report) + Send + Sync>;

/// A sync that follows its directory. Dropping it ends it at its next step; [`Watching::close`] waits.
#[derive(Debug)]
pub struct Watching {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Watching {
    /// Scans once and then follows the changes. Must be called on a Tokio runtime.
    #[must_use]
    pub fn start(syncer: Syncer, told: impl Fn(Report) + Send + Sync + 'static) -> Self {
        let (stop, stopped) = oneshot::channel();
        let follower = Follower::new(syncer, Box::new(told));
        #[expect(clippy::disallowed_methods, reason = "the task is awaited by close")]
        let task = tokio::spawn(async move {
            tokio::select! {
                biased;
                // A dropped sender is a dropped watching.
                _ = stopped => {}
                () = follower.follow() => {}
            }
        });
        Self { stop: Some(stop), task }
    }

    /// Ends it and waits until it has ended.
    pub async fn close(mut self) {
        drop(self.stop.take());
        // It ends by itself only when the runtime does.
        let _ = self.task.await;
    }
}

struct Follower {
    syncer: Syncer,
    told: Told,
    pending: Arc<Pending>,
    listener: Option<Listener>,
    unembedded: bool,
    is_polling: bool,
}

/// Why the follower goes on.
enum Turn {
    Changed,
    Look,
    Embedded(Result<u64, Error>),
}

impl Follower {
    fn new(syncer: Syncer, told: Told) -> Self {
        let pending = Arc::new(Pending::default());
        pending.add(None);
        let listener = Listener::start(Arc::clone(&pending));
        let mut follower = Self { syncer, told, pending, listener: None, unembedded: true, is_polling: false };
        match listener {
            Ok(listener) => follower.listener = Some(listener),
            Err(error) => follower.poll(format!("changes cannot be listened to: {error}")),
        }
        follower
    }

    async fn follow(mut self) {
        let mut next_look = Instant::now();
        loop {
            match self.turn(next_look).await {
                Turn::Embedded(Ok(count)) => {
                    self.unembedded = false;
                    if count > 0 {
                        (self.told)(Report::Embedded(count));
                    }
                    continue;
                }
                Turn::Embedded(Err(error)) => {
                    self.unembedded = false;
                    (self.told)(Report::Failed(error));
                    continue;
                }
                Turn::Changed => self.settle().await,
                Turn::Look => self.pending.add(None),
            }
            let Some(scope) = self.pending.take() else { continue };
            let looked_at_all = scope == Scope::All;
            let is_sound = self.scan(scope).await;
            // Embedding that failed is tried again now and then.
            self.unembedded |= looked_at_all;
            if looked_at_all || !is_sound {
                next_look = Instant::now() + if self.is_polling || !is_sound { POLL } else { SAFETY };
            }
        }
    }

    /// Waits for something to do; embeds what has no vectors meanwhile. Embedding that is broken off loses one batch.
    async fn turn(&self, next_look: Instant) -> Turn {
        let embedding = async {
            if self.unembedded {
                self.syncer.index().embed_missing(&|_| {}).await
            } else {
                std::future::pending().await
            }
        };
        tokio::select! {
            biased;
            () = self.pending.wait() => Turn::Changed,
            () = sleep_until(next_look) => Turn::Look,
            embedded = embedding => Turn::Embedded(embedded),
        }
    }

    /// Waits until changes pause.
    async fn settle(&self) {
        let latest = Instant::now() + LONGEST;
        while timeout_at(latest.min(Instant::now() + QUIET), self.pending.wait()).await.is_ok() {}
    }

    /// Looks at a part; whether that could be done.
    async fn scan(&mut self, scope: Scope) -> bool {
        let scope = Arc::new(scope);
        let watches = self.listener.as_ref().map(|listener| Arc::clone(&listener.watches));
        let of_walk = watches.clone();
        let enter: Enter = Arc::new(move |path, name| {
            if let Some(watches) = &of_walk {
                watches.watch(path, name);
            }
        });
        let scanned = self.syncer.scan_part(Arc::clone(&scope), enter).await;
        let is_sound = scanned.is_ok();
        match scanned {
            Ok((changes, walked)) => {
                self.look_after(watches.as_deref(), &scope, &walked);
                self.unembedded |= changes.changed_something();
                (self.told)(Report::Scanned(changes));
            }
            Err(error) => (self.told)(Report::Failed(error)),
        }
        is_sound
    }

    /// Ends watches of what is gone; polls what cannot be watched.
    fn look_after(&mut self, watches: Option<&super::inotify::Watches>, scope: &Scope, walked: &[String]) {
        let Some(watches) = watches else { return };
        watches.keep(scope, walked);
        if let Some(reason) = watches.take_failure() {
            self.poll(reason);
        } else if *scope == Scope::All && watches.has_root() {
            self.is_polling = false;
        } else if !watches.has_root() {
            // A directory that is not there cannot be watched; it may come.
            self.is_polling = true;
        }
    }

    fn poll(&mut self, reason: String) {
        if !std::mem::replace(&mut self.is_polling, true) {
            (self.told)(Report::Polling(reason));
        }
    }
}
