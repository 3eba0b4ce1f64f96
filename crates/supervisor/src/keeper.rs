//! The keeper: a small parent that starts the supervisor again when it is killed.
//!
//! It takes in the orphans, so that what a killed supervisor had started is buried when it ends, and passes on the
//! signals that it gets, once the supervisor listens to them. A supervisor that cannot start ends the keeper only when it
//! is the first one: later there are services that nobody else would supervise again. Leaves out everything about
//! services: the next supervisor finds them by itself.

use std::{collections::VecDeque, ffi::OsString, time::Duration};

use masque_sandbox::service::{Reaper, ServiceCommand, ServiceEnd, ServiceProcess};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep},
};

use crate::Error;

/// The wait before a start after a supervisor that lived shortly; doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A supervisor that lived so long did not die of its start.
const STABLE: Duration = Duration::from_secs(10);
/// Time between two looks whether a supervisor listens to the signal that it is to get.
const LOOK: Duration = Duration::from_millis(5);

/// Starts a supervisor, and again with `again` as its words whenever it is ended by a signal or fails, until it ends by
/// itself and well, or is told to end. Its exit code is the result.
///
/// # Errors
/// When the first one cannot be started or awaited, or signals cannot be listened to.
pub async fn keep(mut command: ServiceCommand, again: Vec<OsString>) -> Result<i32, Error> {
    let orphans = tokio::task::JoinSet::from_iter([Reaper::start()?.run()]);
    let mut post = Post::open()?;
    let mut wait = FIRST_WAIT;
    let mut has_supervised = false;
    loop {
        let started = Instant::now();
        let end = supervise(&command, &mut post).await;
        let lived = started.elapsed();
        has_supervised |= lived > STABLE || matches!(end, Ok(ServiceEnd::Signal(_)));
        match end {
            Ok(ServiceEnd::Code(code)) if code == 0 || post.is_end_wanted || !has_supervised => {
                drop(orphans);
                return Ok(code);
            }
            Err(error) if !has_supervised => return Err(error),
            Ok(how) => tracing::warn!("the supervisor was ended by {how}; it is started again"),
            Err(error) => tracing::error!("the supervisor cannot be started; it is tried again: {error}"),
        }
        command.words.clone_from(&again);
        wait = if lived > STABLE { FIRST_WAIT } else { wait };
        if lived < wait {
            post.take_for(wait).await;
            wait = LONGEST_WAIT.min(wait * 2);
        }
    }
}

/// Runs one supervisor to its end, and gives it the signals that come meanwhile.
async fn supervise(command: &ServiceCommand, post: &mut Post) -> Result<ServiceEnd, Error> {
    let supervisor = command.start()?;
    tracing::debug!("process {} supervises", supervisor.pid());
    loop {
        let next = post.waiting.front().copied();
        tokio::select! {
            end = supervisor.wait() => return Ok(end?),
            number = post.signals.next() => post.take(number),
            number = listens(&supervisor, next) => {
                supervisor.signal(number)?;
                post.waiting.pop_front();
            }
        }
    }
}

/// Waits until a supervisor listens to a signal, which would kill it before; for ever when there is none.
async fn listens(supervisor: &ServiceProcess, signal: Option<i32>) -> i32 {
    let Some(number) = signal else { return std::future::pending().await };
    while !supervisor.catches(number) {
        sleep(LOOK).await;
    }
    number
}

/// The signals that are passed on.
struct Post {
    signals: Signals,
    /// Those that no supervisor has got yet.
    waiting: VecDeque<i32>,
    /// Whether one of them was to end everything.
    is_end_wanted: bool,
}

impl Post {
    fn open() -> Result<Self, Error> {
        Ok(Self { signals: Signals::listen()?, waiting: VecDeque::new(), is_end_wanted: false })
    }

    fn take(&mut self, number: i32) {
        self.is_end_wanted |= number != SignalKind::hangup().as_raw_value();
        self.waiting.push_back(number);
    }

    /// Waits so long, or until there is a signal to be passed on.
    async fn take_for(&mut self, wait: Duration) {
        if let Ok(number) = tokio::time::timeout(wait, self.signals.next()).await {
            self.take(number);
        }
    }
}

/// The signals that are listened to.
struct Signals(Vec<(Signal, SignalKind)>);

impl Signals {
    fn listen() -> Result<Self, Error> {
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        let listen = |kind| Ok((signal(kind)?, kind));
        Ok(Self(kinds.into_iter().map(listen).collect::<std::io::Result<_>>()?))
    }

    async fn next(&mut self) -> i32 {
        let each = self.0.iter_mut().map(|(signal, kind)| {
            Box::pin(async move {
                signal.recv().await;
                kind.as_raw_value()
            })
        });
        futures::future::select_all(each).await.0
    }
}
