//! [`Capture`]: reads what one service prints, over all of its starts.

use std::{
    fmt, io,
    os::fd::OwnedFd,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use masque_fleet::model::Logs;
use masque_types::time::Timestamp;
use regex::bytes::Regex;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use tokio::{
    net::unix::pipe::{OpenOptions, Receiver},
    sync::{broadcast, mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};

use super::{
    Line,
    budget::{Budget, Dropped},
    closed::Closed,
    file::LogFile,
    line,
    listeners::Listeners,
    read::{self, Files},
    splitter::Splitter,
};
use crate::directory::make_private;

/// Bytes that are read, and written, at once.
const CHUNK: usize = 64 << 10;
/// Chunks that are read before other services get their turn.
const CHUNKS: usize = 8;
/// Bytes that a pipe holds while nobody reads: less where the user's pipes hold much already.
const PIPE: usize = 256 << 10;
/// How often a full disk is tried again while nothing is printed.
const RETRY: Duration = Duration::from_secs(5);

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Whose output is read, and where it goes.
#[derive(Clone)]
pub struct LogSpec {
    /// Name of the service, from which the names of its files are made.
    pub service: String,
    /// Directory of log files; made where it is missing.
    pub logs: PathBuf,
    /// Directory of named pipes; made where it is missing. It must not be open to other users.
    pub pipes: PathBuf,
    /// What is kept.
    pub rules: Logs,
    /// The time that lines get.
    pub clock: Clock,
}

impl fmt::Debug for LogSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogSpec").field("service", &self.service).field("logs", &self.logs).finish_non_exhaustive()
    }
}

/// Reads what one service prints, as long as the supervisor runs. Dropping it stops reading; the pipe keeps what comes.
#[derive(Debug)]
pub struct Capture {
    pipe: PathBuf,
    shared: Arc<Shared>,
    drains: mpsc::Sender<oneshot::Sender<()>>,
    tasks: JoinSet<()>,
}

/// What the reading task and others use.
#[derive(Debug)]
struct Shared {
    closed: Arc<Closed>,
    dropped_bytes: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: LogFile,
    listeners: Listeners,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Capture {
    /// Begins to read: first what an earlier supervisor has left in the pipe.
    ///
    /// # Errors
    /// When the pipe or the file cannot be made or opened.
    pub fn open(spec: &LogSpec) -> io::Result<Self> {
        fs_err::create_dir_all(&spec.logs)?;
        make_private(&spec.pipes)?;
        let pipe = spec.pipes.join(super::file_name(&spec.service));
        make_pipe(&pipe)?;
        let receiver = OpenOptions::new().read_write(true).open_receiver(&pipe)?;
        // A smaller one is no failure.
        let _ = rustix::pipe::fcntl_setpipe_size(&receiver, PIPE);
        let closed = Arc::new(Closed::new(&spec.logs, &spec.service));
        let file = LogFile::open(Arc::clone(&closed), spec.rules.clone())?;
        let state = Mutex::new(State { file, listeners: Listeners::default() });
        let shared = Arc::new(Shared { closed, dropped_bytes: AtomicU64::new(0), state });
        let (drains, requests) = mpsc::channel(4);
        let reading = Reading {
            shared: Arc::clone(&shared),
            receiver,
            clock: Arc::clone(&spec.clock),
            splitter: Splitter::default(),
            budget: Budget::new(spec.rules.budget_bytes),
            begun: Instant::now(),
            tidying: JoinSet::new(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(reading.run(requests));
        Ok(Self { pipe, shared, drains, tasks })
    }

    /// What a service gets as its standard output and standard error. It never breaks, whoever reads.
    ///
    /// # Errors
    /// When the pipe was removed.
    pub fn output(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&self.pipe, flags, Mode::empty());
        opened.map_err(|errno| io::Error::other(format!("{}: {errno}", self.pipe.display())))
    }

    /// Waits until everything that was printed before is in the file and told to whoever listens.
    pub async fn drain(&self) {
        let (reply, done) = oneshot::channel();
        if self.drains.send(reply).await.is_ok() {
            // Without a reader there is nothing to wait for.
            let _ = done.await;
        }
    }

    /// Stops reading, after everything that was printed before is in the file.
    pub async fn close(self) {
        let Self { drains, mut tasks, .. } = self;
        drop(drains);
        while tasks.join_next().await.is_some() {}
    }

    /// Keeps so much from now on.
    pub fn keep(&self, rules: Logs) {
        self.shared.state().file.keep(rules);
    }

    /// Bytes that were not kept, since this supervisor began: above the budget, or without room.
    #[must_use]
    pub fn dropped_bytes(&self) -> u64 {
        self.shared.dropped_bytes.load(Ordering::Relaxed)
    }

    /// The first line from now on that matches, whether it is kept or not.
    #[must_use]
    pub fn expect(&self, pattern: Regex) -> oneshot::Receiver<Line> {
        self.shared.state().listeners.expect(pattern)
    }

    /// All lines that are kept from now on. Who is more than a thousand behind misses some.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Line>> {
        self.shared.state().listeners.follow()
    }

    /// The last lines, oldest first, and all from then on: none is missing between them, none is double. Blocks for
    /// some milliseconds.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn follow(&self, most: usize) -> io::Result<(Vec<Line>, broadcast::Receiver<Arc<Line>>)> {
        let (files, to_come) = {
            // Nothing is written meanwhile. It is read afterwards: the service would wait.
            let mut state = self.shared.state();
            (Files::now(&self.shared.closed)?, state.listeners.follow())
        };
        Ok((files.tail(&self.shared.closed, most)?, to_come))
    }

    /// The last lines, oldest first. Blocks for some milliseconds.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn tail(&self, most: usize) -> io::Result<Vec<Line>> {
        let files = {
            // No file is closed meanwhile, so that none is read twice.
            let _state = self.shared.state();
            Files::now(&self.shared.closed)?
        };
        files.tail(&self.shared.closed, most)
    }

    /// The first lines that were printed at that time or later, oldest first. Blocks for some milliseconds.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn since(&self, from: Timestamp, most: usize) -> io::Result<Vec<Line>> {
        read::since(&self.shared.closed, from, most)
    }
}

/// Makes the pipe unless it is there. A service of another user opens it anew through `/dev/stderr`, so all may write;
/// who may come here at all is decided by the directory.
fn make_pipe(path: &std::path::Path) -> io::Result<()> {
    let failed = |errno: rustix::io::Errno| io::Error::other(format!("{}: {errno}", path.display()));
    match rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o622), 0) {
        Err(rustix::io::Errno::EXIST) => {}
        result => {
            result.map_err(failed)?;
            rustix::fs::chmod(path, Mode::from_raw_mode(0o622)).map_err(failed)?;
        }
    }
    let status = rustix::fs::stat(path).map_err(failed)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::Fifo {
        return Err(io::Error::other(format!("{}: expected a named pipe; remove what is there", path.display())));
    }
    Ok(())
}

/// The task that reads.
struct Reading {
    shared: Arc<Shared>,
    receiver: Receiver,
    clock: Clock,
    splitter: Splitter,
    budget: Budget,
    begun: Instant,
    /// Packs closed files, one at a time.
    tidying: JoinSet<()>,
}

impl Reading {
    async fn run(mut self, mut requests: mpsc::Receiver<oneshot::Sender<()>>) {
        self.tidy();
        loop {
            let wake = self.wake_at();
            tokio::select! {
                request = requests.recv() => {
                    self.read_all().await;
                    self.end_lines();
                    match request {
                        // Who asked may have gone.
                        Some(reply) => _ = reply.send(()),
                        None => break,
                    }
                }
                ready = self.receiver.readable() => match ready {
                    Ok(()) => _ = self.read_some(),
                    Err(error) => return tracing::error!("output of a service cannot be read: {error}"),
                },
                () = tokio::time::sleep_until(wake.unwrap_or(self.begun)), if wake.is_some() => self.take(&[]),
                Some(_) = self.tidying.join_next() => {}
            }
            tokio::task::yield_now().await;
        }
        while self.tidying.join_next().await.is_some() {}
    }

    /// When there is something to tell although nothing is printed.
    fn wake_at(&self) -> Option<Instant> {
        let budget = self.budget.told_at().map(|at| self.begun + at);
        budget.or_else(|| self.shared.state().file.has_lost().then(|| Instant::now() + RETRY))
    }

    async fn read_all(&mut self) {
        while self.read_some() {
            tokio::task::yield_now().await;
        }
    }

    /// Reads what is there, in part when it is much; true when there may be more.
    fn read_some(&mut self) -> bool {
        let mut chunk = vec![0; CHUNK];
        for _ in 0..CHUNKS {
            // The runtime may not have seen yet that there is something to read, so the pipe itself is asked first. The
            // runtime must be told in the end that it is empty.
            let read = rustix::io::read(&self.receiver, chunk.as_mut_slice());
            match read.ok().or_else(|| self.receiver.try_read(&mut chunk).ok()) {
                // It is held open by this process, so it has no end.
                None | Some(0) => return false,
                Some(length) => self.take(chunk.get(..length).unwrap_or_default()),
            }
        }
        true
    }

    /// Writes and tells the lines that a piece completes.
    fn take(&mut self, piece: &[u8]) {
        let mut batch = Batch::new(&self.shared, (self.clock)());
        self.budget.allow(batch.state.file.rules().budget_bytes);
        if let Some(dropped) = self.budget.turn(self.begun.elapsed()) {
            batch.own(&above_budget(dropped));
        }
        self.splitter.push(piece, |line| batch.line(line, &mut self.budget));
        if batch.write() {
            self.tidy();
        }
    }

    /// Takes what has no end of line as a line, and tells what was dropped.
    fn end_lines(&mut self) {
        let mut batch = Batch::new(&self.shared, (self.clock)());
        self.splitter.flush(|line| batch.line(line, &mut self.budget));
        if let Some(dropped) = self.budget.take() {
            batch.own(&above_budget(dropped));
        }
        if batch.write() {
            self.tidy();
        }
    }

    fn tidy(&mut self) {
        let (closed, keep) = (Arc::clone(&self.shared.closed), self.shared.state().file.rules().keep);
        self.tidying.spawn_blocking(move || {
            if let Err(error) = closed.tidy(keep) {
                tracing::warn!("closed log files cannot be packed or removed: {error}");
            }
        });
    }
}

fn above_budget(dropped: Dropped) -> String {
    format!(
        "masque: {} lines ({} bytes) were dropped: more was printed than is kept each second",
        dropped.lines, dropped.bytes
    )
}

/// Lines that are written at once.
struct Batch<'a> {
    shared: &'a Shared,
    state: MutexGuard<'a, State>,
    at: Timestamp,
    stamp: String,
    text: Vec<u8>,
}

impl<'a> Batch<'a> {
    fn new(shared: &'a Shared, at: Timestamp) -> Self {
        Self { shared, state: shared.state(), at, stamp: line::stamp(at), text: Vec::new() }
    }

    /// Takes a line of the service.
    fn line(&mut self, bytes: &[u8], budget: &mut Budget) {
        let heard = (!self.state.listeners.is_empty()).then(|| Line { at: self.at, bytes: bytes.to_vec() });
        if let Some(line) = &heard {
            self.state.listeners.compare(line);
        }
        if !budget.admit(bytes.len() + 1) {
            self.shared.dropped_bytes.fetch_add(bytes.len() as u64 + 1, Ordering::Relaxed);
            return;
        }
        line::write(&mut self.text, &self.stamp, bytes);
        if let Some(line) = heard {
            self.state.listeners.tell(line);
        }
    }

    /// Takes a line of the supervisor.
    fn own(&mut self, text: &str) {
        line::write(&mut self.text, &self.stamp, text.as_bytes());
        let line = Line { at: self.at, bytes: text.as_bytes().to_vec() };
        self.state.listeners.tell(line);
    }

    /// Writes them, after what was lost before; true when a file was closed.
    fn write(mut self) -> bool {
        if let Some(text) = self.state.file.tell_lost(&self.stamp) {
            self.state.listeners.tell(Line { at: self.at, bytes: text.into_bytes() });
        }
        if self.text.is_empty() {
            return false;
        }
        let written = self.state.file.append(&self.text);
        self.shared.dropped_bytes.fetch_add(written.lost_bytes, Ordering::Relaxed);
        written.has_closed
    }
}
