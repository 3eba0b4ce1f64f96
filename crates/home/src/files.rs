//! Files that are written whole or not at all, and locks between processes.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rand::Rng as _;
use rustix::fs::{FlockOperation, RenameFlags, flock};

use crate::Error;

/// Writes a file that only its owner can read, whole or not at all, and makes it durable. Directories that are missing
/// above it are made.
///
/// # Errors
/// When the file system refuses.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let fresh = write_fresh(path, bytes)?;
    fs_err::rename(&fresh, path)?;
    sync_parent(path)
}

/// Writes a file like [`write_private`] unless there is one already; whether it was written.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> Result<bool, Error> {
    let fresh = write_fresh(path, bytes)?;
    let here = rustix::fs::CWD;
    match rustix::fs::renameat_with(here, &fresh, here, path, RenameFlags::NOREPLACE) {
        Ok(()) => sync_parent(path).map(|()| true),
        Err(rustix::io::Errno::EXIST) => {
            fs_err::remove_file(&fresh)?;
            Ok(false)
        }
        Err(error) => Err(named(path, error)),
    }
}

/// A path beside another one that nobody uses.
pub(crate) fn fresh_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new-{:016x}", rand::rng().random::<u64>()))
}

fn write_fresh(path: &Path, bytes: &[u8]) -> Result<PathBuf, Error> {
    if let Some(directory) = path.parent() {
        create_private_directory(directory)?;
    }
    let fresh = fresh_beside(path);
    let mut file = create_new(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(fresh)
}

/// Creates a file that did not exist and only its owner can read.
pub(crate) fn create_new(path: &Path) -> Result<fs_err::File, Error> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    Ok(fs_err::OpenOptions::from_options(options).open(path)?)
}

/// Creates a directory that only its owner can enter, with its parents; one that exists stays as it is.
///
/// # Errors
/// When the file system refuses.
pub fn create_private_directory(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| Error::File(std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))))
}

/// Makes the entries of a file's directory durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), Error> {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => sync_directory(directory),
        _ => Ok(()),
    }
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), Error> {
    Ok(fs_err::File::open(directory)?.sync_all()?)
}

/// Reads a file; none when there is none.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs_err::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Removes a file; it is fine when there is none.
pub(crate) fn remove_if_there(path: &Path) -> Result<(), Error> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Removes a directory with all that is in it; it is fine when there is none.
pub(crate) fn remove_tree(path: &Path) -> Result<(), Error> {
    match fs_err::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// The error of a system call about a path.
pub(crate) fn named(path: &Path, errno: rustix::io::Errno) -> Error {
    let error = std::io::Error::from(errno);
    Error::File(std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// A lock between processes, held until it is dropped or the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: fs_err::File,
}

impl Lock {
    /// Waits until nobody else holds the lock.
    pub(crate) fn take(path: &Path) -> Result<Self, Error> {
        if let Some(directory) = path.parent() {
            create_private_directory(directory)?;
        }
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let file = fs_err::OpenOptions::from_options(options).open(path)?;
        flock(&file, FlockOperation::LockExclusive).map_err(|errno| named(path, errno))?;
        Ok(Self { _file: file })
    }
}
