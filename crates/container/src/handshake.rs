//! The meeting with the first process of a container: [`Rendezvous`].
//!
//! Owns the directory that holds the socket and what covers hidden paths. All of it is mounted into the container when
//! they meet, so the directory is gone afterwards: nothing on this machine has to be cleared up later.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf};

use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};

use crate::{
    Error,
    places::Covers,
    protocol::{self, Frames, Report, Welcome},
};

/// A place where a container finds this process.
#[derive(Debug)]
pub(crate) struct Rendezvous {
    directory: TempDir,
    listener: UnixListener,
}

impl Rendezvous {
    pub(crate) fn open() -> Result<Self, Error> {
        let failed = Error::system("make the socket of a container");
        // Nobody else can enter the directory, so the files in it may be open to the container's user, whoever it is.
        let directory = tempfile::Builder::new().prefix("masque-container-").tempdir().map_err(&failed)?;
        let permit = |name: &str, mode| {
            fs_err::set_permissions(directory.path().join(name), std::fs::Permissions::from_mode(mode)).map_err(&failed)
        };
        let listener = UnixListener::bind(directory.path().join("control")).map_err(&failed)?;
        permit("control", 0o666)?;
        fs_err::File::create(directory.path().join("hidden-file")).map_err(&failed)?;
        permit("hidden-file", 0)?;
        fs_err::create_dir(directory.path().join("hidden-directory")).map_err(&failed)?;
        permit("hidden-directory", 0)?;
        Ok(Self { directory, listener })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("control")
    }

    pub(crate) fn covers(&self) -> Covers {
        Covers {
            file: self.directory.path().join("hidden-file"),
            directory: self.directory.path().join("hidden-directory"),
        }
    }

    /// Waits for the first process, and for what it finds.
    pub(crate) async fn meet(self, welcome: &Welcome) -> Result<(UnixStream, Report), Error> {
        let failed = Error::system("talk to the first process of the container");
        let (mut control, _) = self.listener.accept().await.map_err(&failed)?;
        protocol::send_with(&mut control, welcome, &[]).await.map_err(&failed)?;
        let report = Frames::default().next(&mut control).await.map_err(&failed)?;
        Ok((control, report.ok_or(Error::Gone)?))
    }
}
