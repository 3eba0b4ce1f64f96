//! The kernel's word on changed directories: inotify (inotify(7)), read by a thread. Leaves out what is done with it.

use std::{
    collections::{HashMap, HashSet},
    io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
};

use super::{pending::Pending, scope::Scope};

/// Bytes of events that are read at once.
const BUFFER: usize = 64 << 10;

/// Watched directories.
#[derive(Debug)]
pub(super) struct Watches {
    descriptor: OwnedFd,
    directories: Mutex<Directories>,
}

#[derive(Debug, Default)]
struct Directories {
    /// Path from the root on, by number of the watch. The kernel does not use a number twice.
    names: HashMap<i32, String>,
    numbers: HashMap<String, i32>,
    /// Why not everything is watched.
    failure: Option<String>,
}

/// The thread that reads what the kernel says, until it is told to stop.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) watches: Arc<Watches>,
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Watches {
    /// Watches a directory, before its entries are read. Blocks for microseconds.
    pub(super) fn watch(&self, path: &Path, name: &str) {
        let events = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW
            | WatchFlags::EXCL_UNLINK;
        // The root may be a link to a directory.
        let events = if name.is_empty() { events - WatchFlags::DONT_FOLLOW } else { events };
        let mut directories = self.directories();
        match inotify::add_watch(&self.descriptor, path, events) {
            Ok(number) => {
                // A directory that moved keeps its number.
                if let Some(before) = directories.names.insert(number, name.to_owned()).filter(|before| before != name)
                {
                    directories.numbers.remove(&before);
                }
                directories.numbers.insert(name.to_owned(), number);
            }
            // It is gone; its parent's watch says so.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
            Err(error) => directories.failure = Some(why(error)),
        }
    }

    /// Ends watching what is not there any more within a scope that was walked.
    pub(super) fn keep(&self, scope: &Scope, walked: &[String]) {
        let walked: HashSet<&str> = walked.iter().map(String::as_str).collect();
        let mut directories = self.directories();
        let is_gone = |name: &&String| scope.contains(name) && !walked.contains(name.as_str());
        let gone: Vec<String> = directories.numbers.keys().filter(is_gone).cloned().collect();
        for name in gone {
            if let Some(number) = directories.numbers.remove(&name) {
                directories.names.remove(&number);
                // It fails when the directory is gone, and the watch with it.
                let _ = inotify::remove_watch(&self.descriptor, number);
            }
        }
    }

    /// Why not everything is watched, since the last time it was asked.
    pub(super) fn take_failure(&self) -> Option<String> {
        self.directories().failure.take()
    }

    /// Whether the root is watched.
    pub(super) fn has_root(&self) -> bool {
        self.directories().numbers.contains_key("")
    }

    /// What an event is about: a path from the root on; none when it may be anything.
    fn path(&self, number: i32, flags: ReadFlags, name: Option<&[u8]>) -> Option<Option<String>> {
        if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            return Some(None);
        }
        let mut directories = self.directories();
        let directory = directories.names.get(&number).cloned()?;
        if flags.intersects(ReadFlags::IGNORED) {
            directories.names.remove(&number);
            if directories.numbers.get(&directory) == Some(&number) {
                directories.numbers.remove(&directory);
            }
        }
        match name.map(std::str::from_utf8) {
            None => Some(Some(directory)),
            // The rules for everything below may be others now.
            Some(Ok(".gitignore" | ".ignore")) => Some(None),
            Some(Ok(name)) if directory.is_empty() => Some(Some(name.to_owned())),
            Some(Ok(name)) => Some(Some(format!("{directory}/{name}"))),
            Some(Err(_)) => Some(Some(directory)),
        }
    }

    fn directories(&self) -> MutexGuard<'_, Directories> {
        self.directories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn why(error: rustix::io::Errno) -> String {
    let error_text = io::Error::from(error);
    if error == rustix::io::Errno::NOSPC {
        return "this user watches as many directories as the system allows; raise fs.inotify.max_user_watches"
            .to_owned();
    }
    format!("a directory cannot be watched: {error_text}")
}

impl Listener {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system gives no more of what is needed.
    pub(super) fn start(pending: Arc<Pending>) -> io::Result<Self> {
        let descriptor = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let watches = Arc::new(Watches { descriptor, directories: Mutex::default() });
        let (of_thread, until) = (Arc::clone(&watches), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("masque-inotify".to_owned())
            .spawn(move || listen(&of_thread, &until, &pending))?;
        Ok(Self { watches, stop, thread: Some(thread) })
    }
}

impl Drop for Listener {
    /// The thread waits in the kernel only, so that it ends at once.
    fn drop(&mut self) {
        let told = rustix::io::write(&*self.stop, &1_u64.to_ne_bytes());
        if let (Ok(_), Some(thread)) = (told, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

fn listen(watches: &Watches, stop: &OwnedFd, pending: &Pending) {
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
    loop {
        let mut waiting = [PollFd::new(&watches.descriptor, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        let waited = poll(&mut waiting, None);
        let [events, stopped] = waiting;
        match waited {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return pending.add(None),
            Ok(_) if !stopped.revents().is_empty() => return,
            Ok(_) if events.revents().is_empty() => continue,
            Ok(_) => {}
        }
        read_all(watches, &mut buffer, pending);
    }
}

/// Reads what is there, without waiting.
fn read_all(watches: &Watches, buffer: &mut [MaybeUninit<u8>], pending: &Pending) {
    let mut reader = Reader::new(&watches.descriptor, buffer);
    let (mut paths, mut anything) = (Vec::new(), false);
    loop {
        match reader.next() {
            Ok(event) => {
                let name = event.file_name().map(std::ffi::CStr::to_bytes);
                match watches.path(event.wd(), event.events(), name) {
                    Some(Some(path)) => paths.push(path),
                    Some(None) => anything = true,
                    None => {}
                }
            }
            Err(rustix::io::Errno::AGAIN) => break,
            Err(_) => {
                anything = true;
                break;
            }
        }
    }
    if anything {
        pending.add(None);
    } else if !paths.is_empty() {
        pending.add(Some(paths));
    }
}
