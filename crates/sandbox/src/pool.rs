//! Sandboxes that are started ahead: [`Pool`].
//!
//! A warm sandbox has done everything but executing its program: namespaces, mounts, limits and filters are in force,
//! and its process waits for a command. Each is used once, for exactly the profile for which it was made, so nothing
//! of one program is ever seen by another.
//!
//! What is hidden and protected in a workspace is found when a sandbox is started. So when a warm one is handed out,
//! everything is looked for once more; if the result is not the same, or another file stands at one of the paths, the
//! warm sandbox is thrown away, and a new one is started. A program from the pool therefore sees what a program that is
//! started at that moment would see.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{Child, Command, Error, Isolation, Launcher, Profile, warm::Warm};

/// How many sandboxes wait, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolLimits {
    /// Waiting sandboxes of one profile.
    pub per_profile: usize,
    /// Waiting sandboxes of all profiles; beyond, those that wait the longest are ended.
    pub total: usize,
    /// How long one waits before it is ended. Until then, placeholders stand in its workspace for absent protected
    /// paths, as while a program runs.
    pub idle: Duration,
}

impl Default for PoolLimits {
    /// 2 of each profile, 16 in all, for 30 seconds.
    fn default() -> Self {
        Self { per_profile: 2, total: 16, idle: Duration::from_secs(30) }
    }
}

/// How often a pool could help.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// Programs that got a warm sandbox.
    pub warm: u64,
    /// Programs for which one was started.
    pub cold: u64,
    /// Warm sandboxes that were thrown away, because the workspace had changed.
    pub outdated: u64,
}

/// Starts programs as [`Launcher::spawn`] does, in sandboxes that were started ahead where there are some. After each
/// start it prepares for the next one with the same profile, in a thread of its own.
#[derive(Debug)]
pub struct Pool {
    launcher: Launcher,
    shared: Arc<Shared>,
    worker: Option<(Sender<Arc<Profile>>, JoinHandle<()>)>,
}

#[derive(Debug)]
struct Shared {
    limits: PoolLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ready: Vec<Ready>,
    used: PoolUse,
    closed: bool,
}

#[derive(Debug)]
struct Ready {
    profile: Arc<Profile>,
    warm: Warm,
    since: Instant,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pool {
    /// An empty pool.
    ///
    /// # Errors
    /// When its thread cannot be started.
    pub fn new(launcher: Launcher, limits: PoolLimits) -> Result<Self, Error> {
        let shared = Arc::new(Shared { limits, state: Mutex::default() });
        let (orders, receiver) = channel();
        let (own, makes) = (Arc::clone(&shared), launcher.clone());
        let thread = std::thread::Builder::new().name("masque-pool".into());
        let worker = thread
            .spawn(move || work(&own, &makes, &receiver))
            .map_err(|source| Error::Process { doing: "start the thread of a pool", source })?;
        Ok(Self { launcher, shared, worker: Some((orders, worker)) })
    }

    /// Starts a program, as [`Launcher::spawn`] does, with what it says about the runtime.
    ///
    /// # Errors
    /// As there.
    pub fn spawn(&self, profile: &Profile, command: &Command) -> Result<Child, Error> {
        let child = self.spawn_only(profile, command)?;
        self.prepare(profile);
        Ok(child)
    }

    /// The same without preparing for the next one.
    ///
    /// # Errors
    /// As there.
    pub fn spawn_only(&self, profile: &Profile, command: &Command) -> Result<Child, Error> {
        let mut found = None;
        while found.is_none() {
            let Some(ready) = self.take(profile) else { break };
            found = self.launcher.hand_out(ready.warm, profile, command)?;
            if found.is_none() {
                self.shared.state().used.outdated += 1;
            }
        }
        let warm = found.is_some();
        let child = match found {
            Some(child) => child,
            None => self.launcher.spawn(profile, command)?,
        };
        let used = &mut self.shared.state().used;
        *(if warm { &mut used.warm } else { &mut used.cold }) += 1;
        Ok(child)
    }

    /// Starts sandboxes of a profile ahead. Returns at once; what cannot be started is told by the next
    /// [`Pool::spawn`].
    pub fn prepare(&self, profile: &Profile) {
        if let (Some((orders, _)), Isolation::Process) = (&self.worker, profile.isolation) {
            // The thread ends only with the pool.
            let _ = orders.send(Arc::new(profile.clone()));
        }
    }

    /// Ends the waiting sandboxes of a profile, for example when its environment closes. Blocks for some milliseconds.
    pub fn forget(&self, profile: &Profile) {
        let ended: Vec<Ready> = {
            let mut state = self.shared.state();
            state.ready.extract_if(.., |ready| *ready.profile == *profile).collect()
        };
        drop(ended);
    }

    /// How many sandboxes of a profile wait.
    #[must_use]
    pub fn waiting(&self, profile: &Profile) -> usize {
        self.shared.state().ready.iter().filter(|ready| *ready.profile == *profile).count()
    }

    /// How often it could help so far.
    #[must_use]
    pub fn used(&self) -> PoolUse {
        self.shared.state().used
    }

    /// Ends all waiting sandboxes; nothing of them remains. Blocks for some milliseconds. Programs that were started
    /// go on.
    pub fn close(mut self) {
        self.end();
    }

    fn take(&self, profile: &Profile) -> Option<Ready> {
        let mut state = self.shared.state();
        // The oldest first: it ends soonest otherwise.
        let position = state.ready.iter().position(|ready| *ready.profile == *profile)?;
        Some(state.ready.remove(position))
    }

    fn end(&mut self) {
        let Some((orders, worker)) = self.worker.take() else { return };
        let waiting = {
            let mut state = self.shared.state();
            state.closed = true;
            std::mem::take(&mut state.ready)
        };
        drop(waiting);
        drop(orders);
        // A thread that panicked has nothing left either.
        let _ = worker.join();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.end();
    }
}

/// The thread: fills up what was used, and ends what waited too long.
fn work(shared: &Shared, launcher: &Launcher, orders: &Receiver<Arc<Profile>>) {
    loop {
        let order = match next_end(shared) {
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(left) => orders.recv_timeout(left),
        };
        match order {
            Ok(profile) => fill(shared, launcher, &profile),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        end_idle(shared);
    }
}

/// How long until the first one has waited too long.
fn next_end(shared: &Shared) -> Option<Duration> {
    let oldest = shared.state().ready.iter().map(|ready| ready.since).min()?;
    Some(shared.limits.idle.saturating_sub(oldest.elapsed()))
}

fn end_idle(shared: &Shared) {
    let idle = shared.limits.idle;
    let ended: Vec<Ready> = shared.state().ready.extract_if(.., |ready| ready.since.elapsed() >= idle).collect();
    drop(ended);
}

fn fill(shared: &Shared, launcher: &Launcher, profile: &Arc<Profile>) {
    loop {
        let (waiting, closed) = {
            let state = shared.state();
            (state.ready.iter().filter(|ready| ready.profile == *profile).count(), state.closed)
        };
        if closed || waiting >= shared.limits.per_profile.min(shared.limits.total) {
            return;
        }
        // A program that is started without the pool meets the same error and tells it.
        let Ok(warm) = launcher.warm(profile) else { return };
        let mut state = shared.state();
        if state.closed {
            drop(state);
            return;
        }
        let surplus = (state.ready.len() + 1).saturating_sub(shared.limits.total);
        let ended: Vec<Ready> = state.ready.drain(..surplus).collect();
        state.ready.push(Ready { profile: Arc::clone(profile), warm, since: Instant::now() });
        drop(state);
        drop(ended);
    }
}
