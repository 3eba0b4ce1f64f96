//! The one thread that writes to the embedded database.
//!
//! It takes whatever is queued and makes it durable with one flush; no timer delays anything. Between batches, while
//! anyone watches, it looks every 50 ms whether another program wrote: `PRAGMA data_version` of this connection
//! changes by others' writes only.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    Error, Faults,
    dialect::sqlite::{Setup, SqliteSession},
    session::finish,
    watch::Hub,
    write::{self, Outcome, Write},
};

/// So that a long queue does not make its first write wait for the last.
const BATCH_WRITES: usize = 512;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long the thread stays awake after its last job: about as long as waking it would take.
const LINGER: Duration = Duration::from_micros(100);

type Reply = oneshot::Sender<Result<Outcome, Error>>;

enum Job {
    Write(Write, Reply),
    /// A read on this connection: a database in memory has no other.
    Read(Box<dyn FnOnce(&SqliteSession) + Send>),
    /// Somebody began to watch.
    Look,
    Stop,
}

/// The sending end, and the thread.
#[derive(Debug)]
pub(crate) struct SqliteWriter {
    jobs: Sender<Job>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteWriter {
    /// Starts the thread, which opens and migrates the database.
    pub(crate) async fn open(setup: Setup, hub: Arc<Hub>, faults: Option<Faults>) -> Result<Self, Error> {
        let (jobs, queue) = channel();
        let (opened, outcome) = oneshot::channel();
        let place = setup.place();
        let work = move || match setup.open_writer() {
            Ok(session) => {
                let _nobody_waits = opened.send(Ok(()));
                Work { session, queue, hub, faults, version: None, looked: Instant::now() }.run();
            }
            Err(error) => {
                let _nobody_waits = opened.send(Err(error));
            }
        };
        let thread = std::thread::Builder::new()
            .name("masque-store".to_owned())
            .spawn(work)
            .map_err(|error| Error::Database { place, reason: error.to_string() })?;
        outcome.await.unwrap_or(Err(Error::Closed))?;
        Ok(Self { jobs, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) fn submit(&self, write: Write) -> oneshot::Receiver<Result<Outcome, Error>> {
        let (reply, outcome) = oneshot::channel();
        // A thread that ended drops the reply, which the receiver sees.
        let _ended = self.jobs.send(Job::Write(write, reply));
        outcome
    }

    pub(crate) async fn visit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SqliteSession) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, outcome) = oneshot::channel();
        let work = move |session: &SqliteSession| {
            let _nobody_waits = reply.send(work(session));
        };
        let _ended = self.jobs.send(Job::Read(Box::new(work)));
        outcome.await.unwrap_or(Err(Error::Closed))
    }

    pub(crate) fn look(&self) {
        let _ended = self.jobs.send(Job::Look);
    }

    /// Does what is queued and ends the thread.
    pub(crate) async fn close(&self) {
        let _ended = self.jobs.send(Job::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let joined = tokio::task::spawn_blocking(move || thread.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the store's writer ended by a panic");
            }
        }
    }
}

struct Work {
    session: SqliteSession,
    queue: Receiver<Job>,
    hub: Arc<Hub>,
    faults: Option<Faults>,
    version: Option<i64>,
    looked: Instant,
}

#[derive(PartialEq, Eq)]
enum Next {
    GoOn,
    Stop,
}

impl Work {
    fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            let next = match self.wait() {
                Ok(job) => self.gather(job, &mut batch),
                Err(RecvTimeoutError::Timeout) => Next::GoOn,
                Err(RecvTimeoutError::Disconnected) => Next::Stop,
            };
            self.commit(&mut batch);
            if next == Next::Stop {
                return;
            }
            self.look_for_others();
        }
    }

    /// The next job. Looks for it a moment before the thread sleeps: a run's next write follows its last one closely,
    /// and waking a sleeping thread takes longer than the write itself.
    fn wait(&self) -> Result<Job, RecvTimeoutError> {
        let begun = Instant::now();
        while begun.elapsed() < LINGER {
            match self.queue.try_recv() {
                Ok(job) => return Ok(job),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) => std::hint::spin_loop(),
            }
        }
        if self.hub.is_idle() {
            self.queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            self.queue.recv_timeout(LOOK_EVERY)
        }
    }

    /// Takes what is queued up to a read, which must see the writes in front of it.
    fn gather(&mut self, first: Job, batch: &mut Vec<(Write, Reply)>) -> Next {
        let mut job = Some(first);
        while let Some(taken) = job {
            match taken {
                Job::Write(write, reply) => batch.push((write, reply)),
                Job::Read(work) => {
                    self.commit(batch);
                    work(&self.session);
                }
                Job::Look => {}
                Job::Stop => return Next::Stop,
            }
            job = if batch.len() < BATCH_WRITES { self.queue.try_recv().ok() } else { None };
        }
        Next::GoOn
    }

    fn commit(&mut self, batch: &mut Vec<(Write, Reply)>) {
        if batch.is_empty() {
            return;
        }
        let writes: Vec<_> = batch.iter().map(|(write, _)| write).collect();
        let results = finish(write::commit(&self.session, &writes, self.faults.as_ref()));
        // Woken also after an error: a commit that was reported as failed may have happened.
        self.hub.wake(writes.iter().flat_map(|write| write.changes()));
        for ((_, reply), result) in batch.drain(..).zip(results) {
            let _nobody_waits = reply.send(result);
        }
    }

    fn look_for_others(&mut self) {
        if self.hub.is_idle() {
            self.version = None;
            return;
        }
        if self.version.is_some() && self.looked.elapsed() < LOOK_EVERY {
            return;
        }
        self.looked = Instant::now();
        let version = match self.session.data_version() {
            Ok(version) => Some(version),
            Err(error) => {
                tracing::warn!(%error, "cannot look for other programs' writes");
                None
            }
        };
        // The first look wakes too: what was written before it is not known.
        if version != self.version {
            self.hub.wake_all();
        }
        self.version = version;
    }
}
