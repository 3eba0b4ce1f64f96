//! The integer keys of runs, remembered by the writer: a run's key never changes, so an append need not look it up.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use masque_types::id::RunId;

use crate::{Error, session::Session};

/// Beyond this many runs all are forgotten and looked up again.
const REMEMBERED: usize = 10_000;
const LOOK_UP: &str = "SELECT run_key FROM runs WHERE id = $1";

/// The keys that were looked up.
#[derive(Debug, Default)]
pub(crate) struct RunKeys {
    known: Mutex<HashMap<RunId, i64>>,
}

impl RunKeys {
    /// Forgets all: a transaction was undone, and with it perhaps runs that it had created.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, i64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, run: RunId) -> Option<i64> {
        self.lock().get(&run).copied()
    }

    fn remember(&self, run: RunId, run_key: i64) {
        let mut known = self.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(run, run_key);
    }
}

/// The key of a run.
pub(crate) async fn of<S: Session>(session: &S, run: RunId) -> Result<i64, Error> {
    if let Some(run_key) = session.run_keys().get(run) {
        return Ok(run_key);
    }
    let run_key = look_up(session, run).await?;
    session.run_keys().remember(run, run_key);
    Ok(run_key)
}

/// The key of a run, as the database has it now.
pub(crate) async fn look_up<S: Session>(session: &S, run: RunId) -> Result<i64, Error> {
    let row = session.query_one(LOOK_UP, &[run.to_string().into()]).await?;
    row.ok_or(Error::NoSuchRun { run })?.int()
}
