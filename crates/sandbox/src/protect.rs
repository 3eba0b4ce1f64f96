//! Paths in a writable workspace that must not change: [`protect`].
//!
//! An existing path is shown read-only, and its parents are pinned by mounts of themselves, because a directory that
//! only contains a mount could be renamed and made anew. A link, or a file where a directory was expected, is covered
//! or made read-only where it stands. For an absent path a placeholder is made, an empty directory that the sandbox
//! sees through a read-only mount, so nobody inside can make the path. It is removed after the last sandbox that uses
//! it: sandboxes of all processes hold a shared lock on it, and who gets the exclusive one removes it. A placeholder
//! is recognised by its mode, so one that was left by a killed process is taken over and removed by the next. When a
//! launcher is killed, its keeper removes those that only its sandboxes used. Sandboxes of one process share a placeholder.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use rustix::{
    fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};

use crate::{Error, keeper, plan::Cover};

/// Mode of a placeholder: a sticky directory that nobody may write. Bits that the caller's mask takes are left out of
/// the comparison.
const PLACEHOLDER_MODE: u32 = 0o1555;
const PLACEHOLDER_BITS: u32 = 0o1222;
/// How often a placeholder that is being removed by others is tried again.
const TRIES: usize = 1000;

/// How paths are protected, all relative to the workspace.
#[derive(Debug, Default)]
pub(crate) struct Protection {
    /// Directories that are mounted on themselves.
    pub(crate) pinned: BTreeSet<PathBuf>,
    /// Existing paths that are mounted read-only.
    pub(crate) read_only: BTreeSet<PathBuf>,
    /// Paths that are covered.
    pub(crate) covered: Vec<(PathBuf, Cover)>,
    /// What must be kept until the sandbox is gone.
    pub(crate) placeholders: Vec<Arc<Placeholder>>,
}

impl Protection {
    /// Adds the protection of one path.
    pub(crate) fn protect(&mut self, workspace: &Path, path: &Path) -> Result<(), Error> {
        let failed = |errno: Errno| Error::Path {
            path: workspace.join(path),
            problem: format!("cannot be protected from changes: {}", std::io::Error::from(errno)),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let open = |at: &dyn AsFd, name: &Path| rustix::fs::openat2(at.as_fd(), name, flags, Mode::empty(), resolve);
        let mut directory = open(&rustix::fs::CWD, workspace).map_err(failed)?;
        let mut reached = PathBuf::new();
        let mut names = path.components().peekable();
        while let Some(component) = names.next() {
            let Component::Normal(name) = component else {
                return Err(failed(Errno::INVAL));
            };
            reached.push(name);
            let stat = match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => return self.hold(directory, name.as_ref(), reached).map_err(failed),
                Err(errno) => return Err(failed(errno)),
            };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => {
                    self.covered.push((reached, Cover::File));
                    return Ok(());
                }
                FileType::Directory if is_placeholder(&stat) => {
                    return self.hold(directory, name.as_ref(), reached).map_err(failed);
                }
                FileType::Directory if names.peek().is_some() => {
                    self.pinned.insert(reached.clone());
                    directory = open(&directory, name.as_ref()).map_err(failed)?;
                }
                _ => {
                    self.read_only.insert(reached);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn hold(&mut self, parent: OwnedFd, name: &Path, path: PathBuf) -> Result<(), Errno> {
        if self.covered.iter().any(|(covered, _)| *covered == path) {
            return Ok(());
        }
        match Placeholder::shared(parent, name) {
            Ok(placeholder) => self.placeholders.push(placeholder),
            // What this process cannot make on a read-only file system, the sandbox cannot make either.
            Err(Errno::ROFS) => return Ok(()),
            Err(errno) => return Err(errno),
        }
        self.covered.push((path, Cover::Nothing));
        Ok(())
    }
}

/// Whether a path only stands for an absent one while sandboxes run, or is left of one whose owner was killed. Nobody
/// made it on purpose: a search for projects passes it over.
#[must_use]
pub fn is_placeholder_at(path: &Path) -> bool {
    rustix::fs::lstat(path).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            && stat.st_mode & PLACEHOLDER_BITS == PLACEHOLDER_MODE & PLACEHOLDER_BITS
    })
}

fn is_placeholder(stat: &Stat) -> bool {
    stat.st_mode & PLACEHOLDER_BITS == PLACEHOLDER_MODE & PLACEHOLDER_BITS
        && stat.st_uid == rustix::process::geteuid().as_raw()
}

/// An empty directory that stands for an absent path while sandboxes run.
#[derive(Debug)]
pub(crate) struct Placeholder {
    parent: OwnedFd,
    name: PathBuf,
    lock: OwnedFd,
    /// Its number at the keeper.
    kept: Mutex<Option<u64>>,
}

/// The device and number of the directory that holds a placeholder, and its name.
type Place = (u64, u64, PathBuf);

/// The placeholders of this process, which its sandboxes share.
static SHARED: Mutex<BTreeMap<Place, Weak<Placeholder>>> = Mutex::new(BTreeMap::new());

impl Placeholder {
    /// The one of this process for a place, made if there is none.
    fn shared(parent: OwnedFd, name: &Path) -> Result<Arc<Self>, Errno> {
        let directory = rustix::fs::fstat(&parent)?;
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (directory.st_dev, directory.st_ino, name.to_path_buf());
        if let Some(known) = shared.get(&place).and_then(Weak::upgrade).filter(|known| known.is_in_place()) {
            return Ok(known);
        }
        let made = Arc::new(Self::acquire(parent, name)?);
        shared.retain(|_, known| known.strong_count() > 0);
        shared.insert(place, Arc::downgrade(&made));
        Ok(made)
    }

    fn acquire(parent: OwnedFd, name: &Path) -> Result<Self, Errno> {
        for _ in 0..TRIES {
            match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(PLACEHOLDER_MODE)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let lock = match rustix::fs::openat(&parent, name, flags, Mode::empty()) {
                Ok(lock) => lock,
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(errno),
            };
            if !is_placeholder(&rustix::fs::fstat(&lock)?) {
                // Somebody made the real thing in between.
                return Err(Errno::AGAIN);
            }
            match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    std::thread::yield_now();
                    continue;
                }
                Err(errno) => return Err(errno),
            }
            let copy = parent.try_clone().map_err(|_| Errno::MFILE)?;
            let mut held = Self { parent: copy, name: name.to_path_buf(), lock, kept: Mutex::new(None) };
            if held.is_in_place() {
                let number = keeper::hold(held.parent.as_fd(), held.lock.as_fd(), name.as_os_str().as_bytes());
                held.kept = Mutex::new(number);
                return Ok(held);
            }
        }
        Err(Errno::BUSY)
    }

    /// Makes it outlive this process if that is killed: something that does not end with it needs it, as a container.
    pub(crate) fn leave_to_the_next(&self) {
        if let Some(number) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take() {
            keeper::release(number);
        }
    }

    /// Whether the locked directory is still the one with this name: it may have been removed before the lock.
    fn is_in_place(&self) -> bool {
        let here = rustix::fs::statat(&self.parent, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        let locked = rustix::fs::fstat(&self.lock);
        here.is_ok_and(|here| locked.is_ok_and(|locked| (here.st_dev, here.st_ino) == (locked.st_dev, locked.st_ino)))
    }
}

impl Drop for Placeholder {
    fn drop(&mut self) {
        let last = rustix::fs::flock(&self.lock, FlockOperation::NonBlockingLockExclusive).is_ok();
        if last && self.is_in_place() {
            // Not empty means that somebody outside filled it: then it is theirs.
            let _ = rustix::fs::unlinkat(&self.parent, &self.name, AtFlags::REMOVEDIR);
        }
        self.leave_to_the_next();
        // A process cloned at this moment, and the keeper until it reads the message, hold a copy
        // of the descriptor for an instant, and with it the lock.
        let _ = rustix::fs::flock(&self.lock, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use super::Protection;
    use crate::plan::Cover;
    use std::path::{Path, PathBuf};

    fn protected(workspace: &Path, path: &str) -> Protection {
        let mut protection = Protection::default();
        protection.protect(workspace, Path::new(path)).unwrap();
        protection
    }

    #[test]
    fn an_absent_path_has_a_placeholder_until_its_last_user_is_gone() {
        let workspace = tempfile::tempdir().unwrap();
        let first = protected(workspace.path(), ".git/hooks");
        let second = protected(workspace.path(), ".git/config");
        assert_eq!(second.covered, [(PathBuf::from(".git"), Cover::Nothing)]);
        assert!(workspace.path().join(".git").is_dir());
        drop(first);
        assert!(workspace.path().join(".git").is_dir(), "the second one still needs it");
        drop(second);
        assert!(!workspace.path().join(".git").exists());
    }

    #[test]
    fn existing_parents_are_pinned_and_files_and_links_are_protected_where_they_stand() {
        let workspace = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(workspace.path().join(".git/hooks")).unwrap();
        fs_err::write(workspace.path().join(".claude"), "").unwrap();
        fs_err::os::unix::fs::symlink("elsewhere", workspace.path().join(".agents")).unwrap();
        let hooks = protected(workspace.path(), ".git/hooks");
        assert!(hooks.pinned.contains(Path::new(".git")) && hooks.read_only.contains(Path::new(".git/hooks")));
        let file = protected(workspace.path(), ".claude/settings");
        assert!(file.read_only.contains(Path::new(".claude")));
        let link = protected(workspace.path(), ".agents/agents");
        assert_eq!(link.covered, [(PathBuf::from(".agents"), Cover::File)]);
        assert!(Protection::default().protect(workspace.path(), Path::new("../x")).is_err());
    }

    #[test]
    fn a_real_empty_directory_is_not_taken_for_a_placeholder() {
        let workspace = tempfile::tempdir().unwrap();
        fs_err::create_dir(workspace.path().join(".masque")).unwrap();
        drop(protected(workspace.path(), ".masque"));
        assert!(workspace.path().join(".masque").is_dir());
    }
}
