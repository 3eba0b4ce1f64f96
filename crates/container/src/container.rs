//! A running container: programs in it, and its end.

use std::os::{fd::AsFd as _, unix::net::UnixStream as StdUnixStream};

use rustix::net::RecvFlags;
use tokio::{net::UnixStream, sync::Mutex};

use crate::{
    Engine, Error, Exec, Guard, protocol,
    session::{Session, is_closed},
};

/// A running container. When it is dropped, and when its owner dies, it ends and the engine removes it;
/// [`Container::stop`] waits for that.
pub struct Container {
    engine: Engine,
    id: String,
    process: Option<u32>,
    /// To its first process, which ends with it.
    control: Mutex<UnixStream>,
    _guard: Guard,
}

impl std::fmt::Debug for Container {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Container").field("id", &self.id).field("process", &self.process).finish_non_exhaustive()
    }
}

impl Container {
    pub(crate) fn new(engine: Engine, id: String, process: Option<u32>, control: UnixStream, guard: Guard) -> Self {
        Self { engine, id, process, control: Mutex::new(control), _guard: guard }
    }

    /// The engine's id of it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The number of its first process on this machine, by which its network namespace can be joined; none where the
    /// engine runs it elsewhere, for instance in a virtual machine.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process
    }

    /// Starts a program.
    ///
    /// # Errors
    /// When it cannot be executed, or the container is gone.
    pub async fn exec(&self, exec: Exec) -> Result<Session, Error> {
        if !exec.directory.is_absolute() {
            let problem = format!("`{}` is not absolute", exec.directory.display());
            return Err(Error::Value { what: "directory of a program in a container", problem });
        }
        let failed = Error::system("pass a program to the container");
        let (ours, theirs) = StdUnixStream::pair().map_err(&failed)?;
        ours.set_nonblocking(true).map_err(&failed)?;
        let ours = UnixStream::from_std(ours).map_err(&failed)?;
        let sent = protocol::send_program(&*self.control.lock().await, theirs.as_fd()).await;
        drop(theirs);
        match sent {
            Err(error) if is_closed(&error) => Err(Error::Gone),
            Err(error) => Err(failed(error)),
            Ok(()) => Session::open(ours, &exec).await,
        }
    }

    /// Whether its first process still listens.
    pub async fn is_alive(&self) -> bool {
        let control = self.control.lock().await;
        let looked = rustix::net::recv(&*control, &mut [0_u8; 1][..], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        matches!(looked, Err(rustix::io::Errno::AGAIN))
    }

    /// Ends it with everything in it and waits until the engine has removed it.
    ///
    /// # Errors
    /// When the engine does not do it.
    pub async fn stop(self) -> Result<(), Error> {
        self.remove().await
    }

    pub(crate) async fn remove(&self) -> Result<(), Error> {
        self.engine.remove(&self.id).await
    }
}
