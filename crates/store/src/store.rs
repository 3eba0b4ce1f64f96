//! [`Store`]: the one door to everything that is kept. Leaves out the SQL, which stands with each noun.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use masque_types::{
    approval::Approval,
    digest::Digest,
    event::Event,
    id::{ApprovalId, CommandId, Epoch, RunId, Seq},
    run::{Command, RunSummary},
    secret::Secret,
    time::Timestamp,
};
use tokio::sync::{Semaphore, oneshot};

use crate::{
    Error, Faults, approval, audit, blob,
    dialect::{
        postgres::{self, Server},
        sqlite::{self, BUSY, Location, Setup, SqliteSession},
    },
    inbox, journal,
    lease::{self, NextRun},
    postgres_writer::PostgresWriter,
    record::{
        Append, ApprovalFilter, AuditEntry, AuditReport, Claim, ClaimRequest, Lease, NewAudit, NewRun, RunFilter,
    },
    runs,
    sqlite_writer::SqliteWriter,
    value::{Row, Value},
    watch::{Hub, Watch},
    write::{Outcome, Write},
};

const SQLITE_READERS: usize = 4;
const POSTGRES_READERS: usize = 8;

/// Runs, journals, approvals, inboxes, large bodies and the audit log, in a file or on a server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    writer: Db,
    reader: Reader,
    hub: Arc<Hub>,
}

#[derive(Debug, Clone)]
enum Db {
    Sqlite(Arc<SqliteWriter>),
    Postgres(Arc<PostgresWriter>),
}

impl Store {
    /// Opens a database file; makes directory and file when they are missing, and migrates.
    ///
    /// # Errors
    /// When the place cannot be written, the disk is full, another program keeps the file locked, or the file is
    /// damaged, no database, another program's, or a newer Masque's.
    pub async fn open_sqlite(path: &Path) -> Result<Self, Error> {
        Self::sqlite(Location::File(path.to_owned()), None).await
    }

    /// Like [`Store::open_sqlite`], with commits that fail as planned. For tests.
    ///
    /// # Errors
    /// Those of [`Store::open_sqlite`].
    pub async fn open_sqlite_with_faults(path: &Path, faults: Faults) -> Result<Self, Error> {
        Self::sqlite(Location::File(path.to_owned()), Some(faults)).await
    }

    /// A store that is gone with its last clone. For tests.
    ///
    /// # Errors
    /// When there is no memory or no thread for it.
    pub async fn in_memory() -> Result<Self, Error> {
        Self::sqlite(Location::Memory, None).await
    }

    /// Like [`Store::in_memory`], with commits that fail as planned. For tests.
    ///
    /// # Errors
    /// Those of [`Store::in_memory`].
    pub async fn in_memory_with_faults(faults: Faults) -> Result<Self, Error> {
        Self::sqlite(Location::Memory, Some(faults)).await
    }

    async fn sqlite(location: Location, faults: Option<Faults>) -> Result<Self, Error> {
        let hub = Arc::new(Hub::default());
        let setup = Setup { location, busy: BUSY };
        let writer = Arc::new(SqliteWriter::open(setup.clone(), Arc::clone(&hub), faults).await?);
        let reader = match &setup.location {
            Location::File(path) => Reader::Sqlite(Arc::new(SqliteReaders::new(setup.clone(), path.clone()))),
            Location::Memory => Reader::Writer(Arc::clone(&writer)),
        };
        Ok(Self { inner: Arc::new(Inner { writer: Db::Sqlite(writer), reader, hub }) })
    }

    /// Connects to a PostgreSQL database, which exists, and migrates it.
    ///
    /// # Errors
    /// When the URL is wrong, the server cannot be reached or refuses, or its database is a newer Masque's.
    pub async fn connect_postgres(url: &Secret) -> Result<Self, Error> {
        let hub = Arc::new(Hub::default());
        let server = Server::parse(url)?;
        let writer = Arc::new(PostgresWriter::open(server.clone(), Arc::clone(&hub)).await?);
        let reader = Reader::Postgres { pool: server.pool(POSTGRES_READERS)?, server: Box::new(server) };
        Ok(Self { inner: Arc::new(Inner { writer: Db::Postgres(writer), reader, hub }) })
    }

    /// Makes durable what is queued and ends the writer. Every later call, on any clone, fails with
    /// [`Error::Closed`].
    ///
    /// # Errors
    /// None today; a writer that cannot end in order would be told.
    pub async fn close(self) -> Result<(), Error> {
        self.inner.reader.close();
        match &self.inner.writer {
            Db::Sqlite(writer) => writer.close().await,
            Db::Postgres(writer) => writer.close().await,
        }
        self.inner.hub.close();
        Ok(())
    }

    fn submit(&self, write: Write) -> oneshot::Receiver<Result<Outcome, Error>> {
        match &self.inner.writer {
            Db::Sqlite(writer) => writer.submit(write),
            Db::Postgres(writer) => writer.submit(write),
        }
    }

    pub(crate) fn reader(&self) -> &Reader {
        &self.inner.reader
    }

    pub(crate) async fn write(&self, write: Write) -> Result<Outcome, Error> {
        self.submit(write).await.unwrap_or(Err(Error::Closed))
    }

    /// Creates a run: its row, first events and audit entries in one transaction.
    ///
    /// # Errors
    /// When the run exists, has no event, its first event is not 1 (of a fork: the parent's plus one), or its parent
    /// is missing or shorter; and when nothing can be written.
    pub async fn create_run(&self, new: NewRun) -> Result<(), Error> {
        self.write(Write::Create(Box::new(journal::StoredRun::prepare(new)?))).await.map(|_outcome| ())
    }

    /// Adds to a run's journal. Enqueued at once, in call order; the future resolves when it is durable.
    ///
    /// # Errors
    /// [`Error::StaleLease`] when the epoch is not the run's, [`Error::OutOfOrder`] when the events do not follow the
    /// journal's last one; and when nothing can be written. Nothing of it is stored then, except that after
    /// [`Error::Unreachable`] it may have been: claim the run again and read.
    pub fn append(&self, append: Append) -> impl Future<Output = Result<(), Error>> + Send + 'static + use<> {
        let submitted =
            journal::StoredAppend::prepare(append).map(|append| self.submit(Write::Append(Box::new(append))));
        async move { submitted?.await.unwrap_or(Err(Error::Closed)).map(|_outcome| ()) }
    }

    /// Takes the lease of a run when it is free, expired, or held by a worker known to be dead. Raises the epoch, so
    /// that whoever had it before can write nothing more.
    ///
    /// # Errors
    /// When there is no such run, or nothing can be written.
    pub async fn claim(&self, run: RunId, claim: ClaimRequest<'_>) -> Result<Claim, Error> {
        match self.write(Write::Claim { run, request: claim.into() }).await? {
            Outcome::Claim(claim) => Ok(claim),
            _ => Err(mixed_up()),
        }
    }

    /// Takes the lease of the next run on which something can be done, by priority, then by age: it runs, or it waits and
    /// has a command in its inbox or its time to wake has come; and its lease is free or expired.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn claim_next(
        &self,
        worker: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<(RunId, Epoch)>, Error> {
        match self
            .write(Write::ClaimNext(NextRun { worker: worker.to_owned(), now, until, queued_only: false }))
            .await?
        {
            Outcome::ClaimedNext(claimed) => Ok(claimed),
            _ => Err(mixed_up()),
        }
    }

    /// Extends a lease. False when the epoch is stale or the lease was released: stop working on the run.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn renew(&self, run: RunId, epoch: Epoch, until: Timestamp) -> Result<bool, Error> {
        match self.write(Write::Renew { run, epoch, until }).await? {
            Outcome::Renewed(renewed) => Ok(renewed),
            _ => Err(mixed_up()),
        }
    }

    /// Gives a lease back. Nothing happens when it is somebody else's by now.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn release(&self, run: RunId, epoch: Epoch) -> Result<(), Error> {
        self.write(Write::Release { run, epoch }).await.map(|_outcome| ())
    }

    /// The events after a position, oldest first. A forked run reads its ancestors' events up to the fork.
    ///
    /// # Errors
    /// When there is no such run, an event is damaged or newer than this build, or nothing can be read.
    pub async fn journal(&self, run: RunId, after: Seq) -> Result<Vec<Event>, Error> {
        journal::read(&self.inner.reader, run, after).await
    }

    /// Lists runs, newest first.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunSummary>, Error> {
        runs::list(&self.inner.reader, filter).await
    }

    /// One run, if it exists.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn run(&self, id: RunId) -> Result<Option<RunSummary>, Error> {
        runs::one(&self.inner.reader, id).await
    }

    /// The runs whose printed id begins so, at most 10; `run_` may be left out.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn find_runs(&self, prefix: &str) -> Result<Vec<RunId>, Error> {
        runs::find(&self.inner.reader, prefix).await
    }

    /// Who works on a run, if its lease is not free. The lease may have expired.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn lease(&self, id: RunId) -> Result<Option<Lease>, Error> {
        lease::holder(&self.inner.reader, id).await
    }

    /// Lists questions, oldest first.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn approvals(&self, filter: &ApprovalFilter) -> Result<Vec<Approval>, Error> {
        approval::list(&self.inner.reader, filter).await
    }

    /// One question, if it exists.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn approval(&self, id: ApprovalId) -> Result<Option<Approval>, Error> {
        approval::one(&self.inner.reader, id).await
    }

    /// The questions whose printed id begins so, at most 10; `apr_` may be left out.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn find_approvals(&self, prefix: &str) -> Result<Vec<ApprovalId>, Error> {
        approval::find(&self.inner.reader, prefix).await
    }

    /// Puts a command into a run's inbox. Sending the same id again changes nothing, also after it was consumed.
    ///
    /// # Errors
    /// When there is no such run, or nothing can be written.
    pub async fn send(&self, id: CommandId, run: RunId, command: &Command, at: Timestamp) -> Result<(), Error> {
        let command = journal::to_json("a command", command)?;
        self.write(Write::Send { id, run, command, at }).await.map(|_outcome| ())
    }

    /// The commands that wait for a run, in the order in which they were sent.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn inbox(&self, run: RunId) -> Result<Vec<(CommandId, Command)>, Error> {
        inbox::pending(&self.inner.reader, run).await
    }

    /// A large body, if it is stored.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        blob::read(&self.inner.reader, digest).await
    }

    /// Adds an entry to the audit log.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn audit(&self, entry: NewAudit) -> Result<(), Error> {
        self.write(Write::Audit(audit::StoredAudit::prepare(&entry))).await.map(|_outcome| ())
    }

    /// The last entries of the audit log, oldest first.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn audit_tail(&self, limit: usize) -> Result<Vec<AuditEntry>, Error> {
        audit::tail(&self.inner.reader, limit).await
    }

    /// Checks the whole audit log.
    ///
    /// # Errors
    /// When nothing can be read. A log that was tampered with is no error but a finding.
    pub async fn audit_verify(&self) -> Result<AuditReport, Error> {
        audit::verify(&self.inner.reader).await
    }

    /// Watches a run: journal, inbox and lease. Make the watch first, then read, then wait.
    #[must_use]
    pub fn watch(&self, run: RunId) -> Watch {
        let watch = self.inner.hub.watch_run(run);
        self.look();
        watch
    }

    /// Watches all runs at once: for workers that look for something to do.
    #[must_use]
    pub fn watch_any(&self) -> Watch {
        let watch = self.inner.hub.watch_any();
        self.look();
        watch
    }

    fn look(&self) {
        if let Db::Sqlite(writer) = &self.inner.writer {
            writer.look();
        }
    }
}

/// The writer answers each write with its own kind of outcome; this is said when it did not.
pub(crate) fn mixed_up() -> Error {
    Error::unreadable("the answer of the store's writer", "it belongs to another kind of write")
}

/// Where reads go.
#[derive(Clone)]
pub(crate) enum Reader {
    Sqlite(Arc<SqliteReaders>),
    /// A database in memory has one connection.
    Writer(Arc<SqliteWriter>),
    Postgres {
        pool: deadpool_postgres::Pool,
        server: Box<Server>,
    },
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite(_) => "Reader::Sqlite",
            Self::Writer(_) => "Reader::Writer",
            Self::Postgres { .. } => "Reader::Postgres",
        })
    }
}

impl Reader {
    /// Runs a query and collects its rows.
    pub(crate) async fn query(
        &self,
        sql: impl Into<Cow<'static, str>>,
        params: Vec<Value<'static>>,
    ) -> Result<Vec<Row>, Error> {
        let sql = sql.into();
        match self {
            Self::Postgres { pool, server } => server.take(pool).await?.rows(&sql, &params).await,
            Self::Sqlite(_) | Self::Writer(_) => self.visit(move |session| session.rows(&sql, &params)).await,
        }
    }

    /// Does some reading on a connection of the embedded database, on a thread that may wait.
    pub(crate) async fn visit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SqliteSession) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        match self {
            Self::Sqlite(readers) => SqliteReaders::visit(Arc::clone(readers), work).await,
            Self::Writer(writer) => writer.visit(work).await,
            Self::Postgres { .. } => Err(mixed_up()),
        }
    }

    /// The statement that says how large the database is.
    pub(crate) const fn size_query(&self) -> &'static str {
        match self {
            Self::Sqlite(_) | Self::Writer(_) => sqlite::SIZE,
            Self::Postgres { .. } => postgres::SIZE,
        }
    }

    fn close(&self) {
        match self {
            Self::Sqlite(readers) => readers.close(),
            Self::Writer(_) => {}
            Self::Postgres { pool, .. } => pool.close(),
        }
    }
}

/// A few connections that only read: they see the last commit and never wait for the writer.
#[derive(Debug)]
pub(crate) struct SqliteReaders {
    setup: Setup,
    path: PathBuf,
    permits: Semaphore,
    idle: Mutex<Vec<SqliteSession>>,
    closed: AtomicBool,
}

impl SqliteReaders {
    fn new(setup: Setup, path: PathBuf) -> Self {
        Self {
            setup,
            path,
            permits: Semaphore::new(SQLITE_READERS),
            idle: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    async fn visit<T: Send + 'static>(
        this: Arc<Self>,
        work: impl FnOnce(&SqliteSession) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let readers = Arc::clone(&this);
        let _permit = this.permits.acquire().await.map_err(|_| Error::Closed)?;
        let work = tokio::task::spawn_blocking(move || readers.visit_now(work));
        work.await.map_err(|_| Error::Closed)?
    }

    fn visit_now<T>(&self, work: impl FnOnce(&SqliteSession) -> Result<T, Error>) -> Result<T, Error> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let session = idle.map_or_else(|| self.setup.open_reader(&self.path), Ok)?;
        let outcome = work(&session);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.closed.load(Ordering::Acquire) {
            idle.push(session);
        }
        outcome
    }

    fn close(&self) {
        self.permits.close();
        self.closed.store(true, Ordering::Release);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
