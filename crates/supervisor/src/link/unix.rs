//! Sockets of one host's supervisors in a directory that they share. The guard is the system's: the directory's
//! permissions, and the user at the other end.

use std::{
    fs::Permissions,
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use fs_err::File;
use tokio::net::{UnixListener, UnixStream};

use crate::Error;

/// A listening socket; its file goes with it.
#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens as that name. Whatever an earlier supervisor of that name left there is replaced: that there is only one
    /// at a time is the matter of its state directory's lock.
    pub(super) fn bind(directory: &Path, name: &str) -> Result<Self, Error> {
        let opened = open(directory)?;
        let path = directory.join(file_name(name));
        let failed = |source| Error::LinkListen { place: path.display().to_string(), source };
        match fs_err::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(short(&opened, name)).map_err(failed)?;
        fs_err::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // If it stays, the next supervisor of this name replaces it.
        let _ = fs_err::remove_file(&self.path);
    }
}

/// Connects to the supervisor of that name.
pub(super) async fn connect(directory: &Path, name: &str) -> Result<UnixStream, Error> {
    let opened = open(directory)?;
    Ok(UnixStream::connect(short(&opened, name)).await?)
}

/// Whether this user, or root, is at the other end.
pub(super) fn check_user(stream: &UnixStream) -> Result<(), Error> {
    let (own, other) = (rustix::process::geteuid().as_raw(), stream.peer_cred()?.uid());
    if other == own || other == 0 {
        return Ok(());
    }
    Err(Error::Talk(format!("user {other} is at the other end; expected user {own} or root")))
}

fn open(directory: &Path) -> Result<File, Error> {
    let opened = File::open(directory)?;
    if opened.metadata()?.mode() & 0o002 != 0 {
        return Err(Error::SharedDirectory { directory: directory.to_owned() });
    }
    Ok(opened)
}

/// The socket's path, however long the directory's is: a socket's address has 107 bytes at most.
fn short(directory: &File, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(file_name(name))
}

fn file_name(name: &str) -> String {
    format!("{}.link", name.replace('/', "_"))
}
