//! A file exists that was made or changed since the start. The kernel says when (inotify(7)); nothing is polled.

use std::{
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use masque_types::time::Timestamp;
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use tokio::io::unix::AsyncFd;

/// Bytes of events that are read at once.
const EVENTS: usize = 4 << 10;
/// Milliseconds that the time of a file's change may lie before the change: the clock of file systems goes by ticks.
const GRAIN: i64 = 10;

/// What tells one state of a file from another: its device, its number, and when it was changed.
type Identity = (u64, u64, i64, i64);

/// A file that says by being there that a service is ready.
#[derive(Debug)]
pub(super) struct Marker {
    path: PathBuf,
    /// What was there before the start, and says nothing.
    before: Option<Identity>,
    events: AsyncFd<OwnedFd>,
}

impl Marker {
    /// For a start that is about to come.
    pub(super) fn before_start(path: PathBuf) -> io::Result<Self> {
        let before = identity(&path);
        Self::of(path, before)
    }

    /// For a service that runs since then: what was changed later was changed by it.
    pub(super) fn of_running(path: PathBuf, started_at: Timestamp) -> io::Result<Self> {
        let is_older = |(_, _, seconds, nanoseconds): &Identity| {
            let milliseconds = seconds.saturating_mul(1_000).saturating_add(nanoseconds / 1_000_000);
            milliseconds.saturating_add(GRAIN) < started_at.0
        };
        let before = identity(&path).filter(is_older);
        Self::of(path, before)
    }

    fn of(path: PathBuf, before: Option<Identity>) -> io::Result<Self> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        Ok(Self { path, before, events: masque_sandbox::watch(events)? })
    }

    /// Waits until the file is there or, when it is, until it is gone.
    pub(super) async fn becomes(&self, there: bool) -> io::Result<()> {
        loop {
            self.watch()?;
            // Looked at after the watch began, so that no change falls between.
            if self.is_there() == there {
                return Ok(());
            }
            let mut ready = self.events.readable().await?;
            self.take_events()?;
            ready.clear_ready();
        }
    }

    /// The path, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn is_there(&self) -> bool {
        let now = identity(&self.path);
        now.is_some() && now != self.before
    }

    /// Watches the nearest directory that is there, and the file itself.
    fn watch(&self) -> io::Result<()> {
        let changes = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE | WatchFlags::MOVED_FROM;
        let own = WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ATTRIB | WatchFlags::MODIFY;
        for directory in self.path.ancestors().skip(1) {
            match inotify::add_watch(self.events.get_ref(), directory, changes | own | WatchFlags::ONLYDIR) {
                Ok(_) => break,
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
                Err(errno) => return Err(io::Error::other(format!("{}: {errno}", directory.display()))),
            }
        }
        // When it is not there, its directory tells when it comes.
        let _ = inotify::add_watch(self.events.get_ref(), &self.path, own);
        Ok(())
    }

    /// Empties the queue of events: what they say is looked at afresh.
    fn take_events(&self) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); EVENTS];
        let mut reader = Reader::new(self.events.get_ref(), &mut buffer);
        loop {
            match reader.next() {
                Ok(_) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let status = fs_err::metadata(path).ok()?;
    Some((status.dev(), status.ino(), status.ctime(), status.ctime_nsec()))
}
