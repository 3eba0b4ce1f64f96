//! What can go wrong in the store, each with what to do about it. Leaves out mapping from the databases' own codes,
//! which is the dialects' work.

use masque_types::id::{Epoch, RunId, Seq};

/// Why the store could not do something. `place` names the file, or server and database, never a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The lease under which something was to be written is not the run's current one. Nothing was written.
    #[error(
        "{run} is no longer held under lease {epoch} (it is at lease {current}): stop working on it, another worker has it"
    )]
    StaleLease {
        /// The run.
        run: RunId,
        /// The lease of the caller.
        epoch: Epoch,
        /// The lease of the run.
        current: Epoch,
    },
    /// The events do not follow the journal's last one. Nothing was written.
    #[error("{run}: event {got} does not follow; the next one is {expected}: read the journal again")]
    OutOfOrder {
        /// The run.
        run: RunId,
        /// The position that comes next.
        expected: Seq,
        /// The position that was given.
        got: Seq,
    },
    /// There is no such run.
    #[error("there is no run {run}: list the runs to see their ids")]
    NoSuchRun {
        /// The id that was given.
        run: RunId,
    },
    /// A run with that id exists. Nothing was written.
    #[error("a run {run} exists already: start it under a new id")]
    RunExists {
        /// The id that was given.
        run: RunId,
    },
    /// The run that was to call another one has ended. Nothing was written.
    #[error("{run} has ended: it calls nobody any more")]
    Ended {
        /// The run.
        run: RunId,
    },
    /// A new run has no first event.
    #[error("{run} was to be created without an event: its first events make the run")]
    NoEvents {
        /// The run.
        run: RunId,
    },
    /// The disk, or the quota, is full. What was acknowledged is safe; writing works again when there is space.
    #[error("no space left for {place}: free some space, then resume; nothing that was acknowledged is lost")]
    DiskFull {
        /// Where.
        place: String,
    },
    /// The file or its directory cannot be written.
    #[error(
        "{place} cannot be written ({reason}): give the user write permission to the file and its directory, or choose another place"
    )]
    ReadOnly {
        /// Where.
        place: String,
        /// What the system said.
        reason: String,
    },
    /// Another program kept the database locked for too long.
    #[error(
        "{place} stayed locked by another program for {waited_ms} ms: close that program (a database browser or a backup?) and try again"
    )]
    Locked {
        /// Where.
        place: String,
        /// How long was waited, in milliseconds.
        waited_ms: u64,
    },
    /// The database file is damaged.
    #[error(
        "{place} is damaged ({reason}): stop Masque, keep a copy of the file, and restore a backup or run `sqlite3 FILE .recover`"
    )]
    Damaged {
        /// Where.
        place: String,
        /// What the database said.
        reason: String,
    },
    /// The file is something else than a database.
    #[error("{place} is not a SQLite database: move that file away, or choose another place")]
    NotADatabase {
        /// Where.
        place: String,
    },
    /// The database holds another program's tables.
    #[error("{place} is a database of another program: choose another place, or an empty database")]
    ForeignDatabase {
        /// Where.
        place: String,
    },
    /// A newer Masque has changed the tables.
    #[error("{place} has schema {found}, this Masque knows up to {known}: install the newer Masque again")]
    NewerSchema {
        /// Where.
        place: String,
        /// The number of the last migration found.
        found: u32,
        /// The last number that this build knows.
        known: u32,
    },
    /// The database server does not answer, or the connection broke. A write that was under way may have happened.
    #[error("{place} cannot be reached ({reason}): check that the server runs and that host and port are right")]
    Unreachable {
        /// Where.
        place: String,
        /// What the system said.
        reason: String,
    },
    /// The database server refuses user, password or database.
    #[error("{place} refuses the connection ({reason}): check user, password, database and the server's pg_hba.conf")]
    Refused {
        /// Where.
        place: String,
        /// What the server said.
        reason: String,
    },
    /// The URL of the database server cannot be used.
    #[error("the database URL cannot be used ({reason}): expected postgres://USER@HOST:PORT/DATABASE?sslmode=require")]
    Url {
        /// What is wrong; without the URL, which may hold a password.
        reason: String,
    },
    /// The database keeps no vectors.
    #[error(
        "{reason}: full-text search works without vectors; for them install pgvector and run `CREATE EXTENSION vector`"
    )]
    NoVectors {
        /// Why.
        reason: String,
    },
    /// Something stored cannot be read back.
    #[error("{what} cannot be read: {reason}")]
    Unreadable {
        /// What it is.
        what: String,
        /// Why.
        reason: String,
    },
    /// Something could not be turned into JSON.
    #[error("{what} cannot be stored: {reason}")]
    Unstorable {
        /// What it is.
        what: String,
        /// Why.
        reason: String,
    },
    /// Any other failure of the database.
    #[error("{place}: {reason}")]
    Database {
        /// Where.
        place: String,
        /// What the database said.
        reason: String,
    },
    /// A fault that a test asked for with [`Faults`](crate::Faults).
    #[error("injected fault: commit {commit} was reported as failed")]
    Injected {
        /// Which commit, from 1.
        commit: u64,
    },
    /// The store was closed.
    #[error("the store is closed: nothing can be read or written after the end of the program's work")]
    Closed,
}

impl Error {
    /// Whether it was found before anything was written, so that the transaction around it is still good.
    pub(crate) const fn wrote_nothing(&self) -> bool {
        matches!(
            self,
            Self::StaleLease { .. }
                | Self::OutOfOrder { .. }
                | Self::NoSuchRun { .. }
                | Self::RunExists { .. }
                | Self::Ended { .. }
        )
    }

    /// Whether trying the parts of a failed transaction one by one is pointless.
    pub(crate) const fn concerns_all(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Refused { .. }
                | Self::Locked { .. }
                | Self::Injected { .. }
                | Self::Closed
        )
    }

    pub(crate) fn unreadable(what: impl ToString, reason: impl ToString) -> Self {
        Self::Unreadable { what: what.to_string(), reason: reason.to_string() }
    }

    pub(crate) fn unstorable(what: impl ToString, reason: impl ToString) -> Self {
        Self::Unstorable { what: what.to_string(), reason: reason.to_string() }
    }
}
