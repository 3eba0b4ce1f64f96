//! The keeper: a small parent that starts the supervisor again when it is killed.
//!
//! It takes in the orphans, so that what a killed supervisor had started is buried when it ends, and passes on the
//! signals that it gets. Leaves out everything about services: the next supervisor finds them by itself.

use std::{ffi::OsString, time::Duration};

use masque_sandbox::service::{Reaper, ServiceCommand, ServiceEnd, ServiceProcess};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

use crate::Error;

/// The wait before a start after a supervisor that lived shortly; doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// A supervisor that lived so long did not die of its start.
const STABLE: Duration = Duration::from_secs(10);

/// Starts a supervisor, and again with `again` as its words whenever a signal ended it, until it ends by itself. Its exit
/// code is the result.
///
/// # Errors
/// When it cannot be started or awaited.
pub async fn keep(mut command: ServiceCommand, again: Vec<OsString>) -> Result<i32, Error> {
    let orphans = tokio::task::JoinSet::from_iter([Reaper::start()?.run()]);
    let mut signals = Signals::listen()?;
    let mut wait = FIRST_WAIT;
    loop {
        let started = Instant::now();
        let supervisor = command.start()?;
        tracing::debug!("process {} supervises", supervisor.pid());
        match end(&supervisor, &mut signals).await? {
            ServiceEnd::Code(code) => {
                drop(orphans);
                return Ok(code);
            }
            how => tracing::warn!("the supervisor was ended by {how}; it is started again"),
        }
        command.words.clone_from(&again);
        wait = if started.elapsed() > STABLE { FIRST_WAIT } else { wait };
        if started.elapsed() < wait {
            tokio::time::sleep(wait).await;
            wait = LONGEST_WAIT.min(wait * 2);
        }
    }
}

/// Waits for the end of a supervisor, and passes on what is sent meanwhile.
async fn end(supervisor: &ServiceProcess, signals: &mut Signals) -> Result<ServiceEnd, Error> {
    loop {
        tokio::select! {
            end = supervisor.wait() => return Ok(end?),
            number = signals.next() => supervisor.signal(number)?,
        }
    }
}

/// The signals that are passed on.
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
