//! The journal of changes: numbers them, keeps the last ones at hand, tells followers, writes `changes.jsonl`.

use std::{
    collections::VecDeque,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use masque_fleet::{
    model::ServiceId,
    status::{Change, State},
};
use masque_types::time::Timestamp;
use serde::Serialize;
use tokio::sync::broadcast;

use crate::{Error, directory::StateDirectory};

const FILE: &str = "changes.jsonl";
/// Size in bytes at which the file becomes `changes.jsonl.1` and a new one is begun.
const ROTATE_BYTES: u64 = 4 << 20;
/// Changes that are kept at hand.
const AT_HAND: usize = 2_048;
/// Changes that a follower may be behind.
const BEHIND: usize = 512;
/// Bytes at the end of the file in which the last number is looked for.
const TAIL_BYTES: u64 = 64 << 10;

/// The first line of each supervisor: what the offsets after it count from.
#[derive(Debug, Serialize)]
struct Head<'a> {
    supervisor: u32,
    host: &'a str,
    /// The machine's monotonic clock when the supervisor started.
    monotonic: Duration,
    at: Timestamp,
}

/// The changes of one supervisor's services.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: fs_err::File,
    bytes: u64,
    number: u64,
    recent: VecDeque<Arc<Change>>,
    unwritten: Vec<u8>,
    followers: broadcast::Sender<Arc<Change>>,
    is_writing: bool,
}

impl Journal {
    /// Opens the journal of a state directory; numbers go on where the last supervisor stopped.
    pub(super) fn open(directory: &StateDirectory, host: &str, at: Timestamp) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let file = fs_err::OpenOptions::new().create(true).append(true).read(true).open(&path)?;
        let bytes = file.metadata()?.len();
        let mut journal = Self {
            number: 0,
            recent: VecDeque::new(),
            unwritten: Vec::new(),
            followers: broadcast::channel(BEHIND).0,
            is_writing: true,
            path,
            file,
            bytes,
        };
        journal.number = journal.last_number()?;
        let head = Head { supervisor: std::process::id(), host, monotonic: monotonic(), at };
        journal.line(&head);
        journal.write();
        Ok(journal)
    }

    fn last_number(&mut self) -> Result<u64, Error> {
        self.file.seek(SeekFrom::Start(self.bytes.saturating_sub(TAIL_BYTES)))?;
        let mut tail = Vec::new();
        self.file.read_to_end(&mut tail)?;
        if tail.last().is_some_and(|byte| *byte != b'\n') {
            // A supervisor that was killed left half a line.
            self.unwritten.push(b'\n');
        }
        let mut changes = tail.split(|byte| *byte == b'\n').rev().filter_map(|line| serde_json::from_slice(line).ok());
        if let Some(Change { number, .. }) = changes.next() {
            return Ok(number);
        }
        // The file was begun just before that supervisor ended.
        let earlier = fs_err::read(self.path.with_extension("jsonl.1")).unwrap_or_default();
        let mut changes =
            earlier.split(|byte| *byte == b'\n').rev().filter_map(|line| serde_json::from_slice(line).ok());
        Ok(changes.next().map_or(0, |change: Change| change.number))
    }

    /// Notes a change. It is written with [`Self::write`], after what it leads to was begun.
    pub(super) fn note(&mut self, change: Noted, offset: Duration, at: Timestamp) -> Arc<Change> {
        let Noted { id, from, to, why } = change;
        self.number += 1;
        let change = Arc::new(Change { number: self.number, id, from, to, why, offset, at });
        self.line(&*change);
        if self.recent.len() == AT_HAND {
            self.recent.pop_front();
        }
        // Nobody may be following.
        let _ = self.followers.send(Arc::clone(&change));
        self.recent.push_back(Arc::clone(&change));
        change
    }

    fn line(&mut self, value: &impl Serialize) {
        if serde_json::to_writer(&mut self.unwritten, value).is_ok() {
            self.unwritten.push(b'\n');
        }
    }

    /// Writes what was noted. A full disk must not stop the supervisor: it is told once, and tried again with the next.
    pub(super) fn write(&mut self) {
        if self.unwritten.is_empty() {
            return;
        }
        let unwritten = std::mem::take(&mut self.unwritten);
        self.bytes += unwritten.len() as u64;
        match self.file.write_all(&unwritten).and_then(|()| self.rotate()) {
            Ok(()) => self.is_writing = true,
            Err(error) if self.is_writing => {
                tracing::warn!("changes are not written: {error}");
                self.is_writing = false;
            }
            Err(_) => {}
        }
    }

    fn rotate(&mut self) -> std::io::Result<()> {
        if self.bytes < ROTATE_BYTES {
            return Ok(());
        }
        fs_err::rename(&self.path, self.path.with_extension("jsonl.1"))?;
        self.file = fs_err::OpenOptions::new().create(true).append(true).read(true).open(&self.path)?;
        self.bytes = 0;
        Ok(())
    }

    /// The changes above a number that are at hand, oldest first.
    pub(super) fn after(&self, number: u64) -> impl DoubleEndedIterator<Item = &Change> {
        self.recent.iter().map(|change| &**change).filter(move |change| change.number > number)
    }

    /// Tells changes from now on.
    pub(super) fn follow(&self) -> broadcast::Receiver<Arc<Change>> {
        self.followers.subscribe()
    }
}

/// A change that gets its number and time here.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) id: ServiceId,
    pub(super) from: State,
    pub(super) to: State,
    pub(super) why: String,
}

fn monotonic() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(name: &str) -> Noted {
        Noted { id: ServiceId::new("h", name), from: State::Blocked, to: State::Starting, why: "x".repeat(500) }
    }

    #[test]
    fn numbers_go_on_after_the_death_of_a_supervisor_and_across_files() {
        let root = tempfile::tempdir().unwrap();
        let directory = StateDirectory::open(root.path()).unwrap();
        let mut journal = Journal::open(&directory, "h", Timestamp(0)).unwrap();
        let mut follower = journal.follow();
        assert_eq!(journal.note(noted("a"), Duration::ZERO, Timestamp(1)).number, 1);
        journal.note(noted("b"), Duration::ZERO, Timestamp(1));
        journal.write();
        assert_eq!(journal.after(1).map(|change| change.id.name.clone()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(follower.try_recv().unwrap().number, 1);
        journal.file.write_all(b"{\"number\":3,").unwrap();
        drop(journal);
        let mut journal = Journal::open(&directory, "h", Timestamp(0)).unwrap();
        assert_eq!(journal.number, 2);
        while !directory.join("changes.jsonl.1").exists() {
            journal.note(noted("c"), Duration::ZERO, Timestamp(1));
            journal.write();
        }
        let last = journal.number;
        assert!(journal.recent.len() <= AT_HAND);
        drop(journal);
        assert_eq!(Journal::open(&directory, "h", Timestamp(0)).unwrap().number, last);
    }
}
