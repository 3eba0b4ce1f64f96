//! The seam between the SQL of this crate and the two databases that run it.
//!
//! The statements of a write are written once, as `async` functions over a [`Session`]. The embedded database answers
//! at once, so [`finish`] runs such a function to its end on the writer's thread.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use masque_types::id::RunId;

use crate::{
    Error,
    run_keys::RunKeys,
    value::{Row, Value},
};

/// A connection that a writer works on. Placeholders in SQL are `$1`, `$2`, …
pub(crate) trait Session {
    /// Takes the next run that can be worked on: worker, now, until → id, epoch.
    const CLAIM_NEXT: &'static str;

    /// The same among jobs and the runs that they called.
    const CLAIM_NEXT_QUEUED: &'static str;

    /// The keys of runs that were looked up.
    fn run_keys(&self) -> &RunKeys;

    /// Runs a statement and returns its rows.
    async fn query(&self, sql: &'static str, params: &[Value<'_>]) -> Result<Vec<Row>, Error>;

    /// Runs a statement and returns how many rows it changed.
    async fn execute(&self, sql: &'static str, params: &[Value<'_>]) -> Result<u64, Error>;

    /// Begins a transaction that may write.
    async fn begin(&self) -> Result<(), Error>;

    /// Makes the transaction durable and tells other programs which runs changed.
    async fn commit(&self, changed: &[RunId]) -> Result<(), Error>;

    /// Undoes the transaction, if there still is one.
    async fn rollback(&self) -> Result<(), Error>;

    /// Runs a statement that returns at most one row.
    async fn query_one(&self, sql: &'static str, params: &[Value<'_>]) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }
}

/// Runs a future that never waits for anything to its end.
pub(crate) fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::yield_now();
    }
}
