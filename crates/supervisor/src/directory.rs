//! The state directory of a supervisor: where it is locked, and how its sockets are reached although their paths may
//! be longer than an address of a socket can be. Leaves out what the files say.

use std::{
    io::{Read as _, Seek as _, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::{DirBuilderExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock},
    io::Errno,
};
use tokio::time::{Instant, sleep};

use crate::Error;

/// File that the running supervisor holds a lock on, with its process id inside.
const LOCK: &str = "supervisor.lock";
/// How long a dead supervisor's lock may stay: a program that it was starting holds it until it executes.
const LOCK_LEFT: Duration = Duration::from_secs(5);
/// Time between two looks at such a lock.
const LOCK_LOOK: Duration = Duration::from_millis(5);

/// An open state directory.
#[derive(Debug, Clone)]
pub struct StateDirectory {
    path: PathBuf,
    opened: Arc<OwnedFd>,
}

impl StateDirectory {
    /// Makes it, for this user only, or opens it.
    ///
    /// # Errors
    /// When it cannot be made or opened; the message names it.
    pub fn create(path: &Path) -> Result<Self, Error> {
        make_private(path)?;
        Self::open(path)
    }

    /// Opens one that is there.
    ///
    /// # Errors
    /// [`Error::NotRunning`] when there is none: nothing can run in it then.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(opened) => Ok(Self { path: path.to_owned(), opened: Arc::new(opened) }),
            Err(Errno::NOENT) => Err(Error::NotRunning { directory: path.to_owned() }),
            Err(error) => Err(std::io::Error::new(error.kind(), format!("{}: {error}", path.display())).into()),
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file below it.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// A short path of a file below it, valid in this process while this value lives. Addresses of Unix sockets hold
    /// 107 bytes.
    #[must_use]
    pub fn short(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.opened.as_raw_fd()))
    }

    /// What tells it from every other directory of this machine; part of the cookies of what is started from it.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn token(&self) -> Result<String, Error> {
        let metadata = fs_err::metadata(&self.path)?;
        Ok(format!("{:x}.{:x}", metadata.dev(), metadata.ino()))
    }

    /// Takes the lock that only one supervisor can have.
    ///
    /// # Errors
    /// [`Error::Running`] with the process that has it.
    pub async fn lock(&self) -> Result<Lock, Error> {
        let options = fs_err::OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let mut file = options.open(self.join(LOCK))?;
        let until = Instant::now() + LOCK_LEFT;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) => {}
                Err(error) => return Err(std::io::Error::from(error).into()),
            }
            let process = holder(&mut file)?;
            if process.is_some_and(is_running) || Instant::now() > until {
                return Err(Error::Running { directory: self.path.clone(), process: process.unwrap_or(0) });
            }
            sleep(LOCK_LOOK).await;
        }
        if let Err(error) = note_holder(&mut file) {
            // The lock is what counts; the number is for people.
            tracing::warn!("it cannot be noted which process supervises: {error}");
        }
        Ok(Lock { file })
    }

    /// The process that supervises here, if one does.
    ///
    /// # Errors
    /// When the lock's file cannot be read.
    pub fn supervisor(&self) -> Result<Option<u32>, Error> {
        let mut file = match fs_err::File::open(self.join(LOCK)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(None),
            Err(Errno::WOULDBLOCK) => Ok(holder(&mut file)?.filter(|process| is_running(*process))),
            Err(error) => Err(std::io::Error::from(error).into()),
        }
    }
}

/// Makes a directory for this user only, unless it is there.
pub(crate) fn make_private(path: &Path) -> std::io::Result<()> {
    let named = |error: std::io::Error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(named)
}

/// The right to supervise from a state directory, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: fs_err::File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A program that is just being started may hold a copy of the descriptor; the lock is not to stay with it.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Writes over what is there, for which a full disk has room.
fn note_holder(file: &mut fs_err::File) -> std::io::Result<()> {
    let text = format!("{:<10}\n", std::process::id());
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

fn holder(file: &mut fs_err::File) -> Result<Option<u32>, Error> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text.trim().parse().ok())
}

/// Whether a process runs; a zombie does not.
fn is_running(process: u32) -> bool {
    let stat = fs_err::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, fields)| !fields.trim_start().starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_one_supervisor_has_it_and_a_second_one_learns_who() {
        let root = tempfile::tempdir().unwrap();
        let directory = StateDirectory::create(&root.path().join("a/b")).unwrap();
        assert_eq!(directory.supervisor().unwrap(), None);
        let lock = directory.lock().await.unwrap();
        let error = directory.lock().await.unwrap_err();
        assert!(matches!(error, Error::Running { process, .. } if process == std::process::id()), "{error}");
        assert_eq!(directory.supervisor().unwrap(), Some(std::process::id()));
        drop(lock);
        drop(directory.lock().await.unwrap());
        assert!(matches!(StateDirectory::open(&root.path().join("c")), Err(Error::NotRunning { .. })));
    }

    #[tokio::test]
    async fn a_full_disk_has_room_for_a_supervisor() {
        let Some(disk) = masque_testkit::disk::SmallDisk::mount(1 << 20) else { return };
        let directory = StateDirectory::create(&disk.path().join("state")).unwrap();
        let _full = disk.fill();
        drop(directory.lock().await.unwrap());
    }

    #[tokio::test]
    async fn sockets_are_reached_below_long_paths() {
        let root = tempfile::tempdir().unwrap();
        let directory = StateDirectory::create(&root.path().join("long-name-".repeat(20))).unwrap();
        let listener = tokio::net::UnixListener::bind(directory.short("control.sock")).unwrap();
        let (client, server) =
            tokio::join!(tokio::net::UnixStream::connect(directory.short("control.sock")), listener.accept());
        assert!(client.is_ok() && server.is_ok());
    }
}
