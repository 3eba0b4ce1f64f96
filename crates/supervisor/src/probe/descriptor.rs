//! The service writes to, or closes, the descriptor whose number is in `READY_FD`.
//!
//! It is a named pipe that the service has open for both directions: when the supervisor ends, writing does not break
//! the service, and the next supervisor reads what was written.

use std::{io, os::fd::OwnedFd, path::Path, time::Duration};

use masque_sandbox::service::ServiceProcess;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use tokio::net::unix::pipe::{OpenOptions, Receiver};

/// How long after a close it is seen whether the service closed it or ended.
const ENDED_WITHIN: Duration = Duration::from_millis(10);

/// The supervisor's end.
#[derive(Debug)]
pub(super) struct Descriptor {
    receiver: Receiver,
}

impl Descriptor {
    /// Makes the pipe for a start, and the service's end of it.
    pub(super) fn make(path: &Path) -> io::Result<(Self, OwnedFd)> {
        match fs_err::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let failed = |errno: rustix::io::Errno| io::Error::other(format!("{}: {errno}", path.display()));
        rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).map_err(failed)?;
        let own = Self::open(path)?;
        let end = rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
        Ok((own, end))
    }

    /// Opens the pipe of a running service.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { receiver: OpenOptions::new().open_receiver(path)? })
    }

    /// Waits until the service has written or closed it; never returns when the service ended instead.
    pub(super) async fn said(&mut self, process: &ServiceProcess) -> io::Result<()> {
        let mut byte = [0];
        loop {
            // The pipe itself is asked first: one that was closed before it was opened here tells nothing by itself.
            match rustix::io::read(&self.receiver, &mut byte[..]).map_err(io::Error::from) {
                Ok(0) => {
                    // A program that ends closes everything shortly before its end is known.
                    if tokio::time::timeout(ENDED_WITHIN, process.wait()).await.is_ok() {
                        return std::future::pending().await;
                    }
                    return Ok(());
                }
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            self.receiver.readable().await?;
            if self.receiver.try_read(&mut byte).is_ok_and(|length| length > 0) {
                return Ok(());
            }
        }
    }
}
