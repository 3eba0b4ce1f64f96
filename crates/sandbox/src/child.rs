//! A started program: its streams, its end, and the kill of its whole tree.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus};
use tokio::io::{Interest, unix::AsyncFd};

use crate::{Error, cgroup::Group, protect::Placeholder};

/// The writing end of the program's standard input. Closing it is the end of the input.
pub type Stdin = tokio::net::unix::pipe::Sender;
/// The reading end of the program's standard output.
pub type Stdout = tokio::net::unix::pipe::Receiver;
/// The reading end of the program's standard error.
pub type Stderr = tokio::net::unix::pipe::Receiver;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// It was ended by this signal: 9 after a kill or when its memory was exhausted.
    Signal(i32),
}

impl Exit {
    /// Whether it returned 0.
    #[must_use]
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    /// What a wait status says.
    fn from_wait_status(status: i32) -> Self {
        if libc::WIFEXITED(status) {
            Self::Code(libc::WEXITSTATUS(status))
        } else {
            Self::Signal(libc::WTERMSIG(status))
        }
    }
}

/// A started process and what ends with it.
#[derive(Debug)]
pub(crate) struct Started {
    /// Its process id on this machine.
    pub(crate) id: i32,
    /// Its descriptor: readable when it ended.
    pub(crate) process: OwnedFd,
    /// Until they are handed over.
    pub(crate) streams: Option<Streams>,
    /// The other end of its network, until it is handed over.
    pub(crate) device: Option<OwnedFd>,
    pub(crate) tree: Tree,
}

/// The launcher's ends of the standard streams.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) stdin: OwnedFd,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// How everything that a program started is reached.
#[derive(Debug)]
pub(crate) enum Tree {
    /// The process is the init of a namespace: its end is the end of all. How the program ended is read from `status`.
    Namespace { status: OwnedFd, group: Group, placeholders: Vec<Arc<Placeholder>> },
    /// The process leads a process group.
    ProcessGroup,
}

impl Started {
    /// Kills the whole tree.
    fn kill(&self) {
        match &self.tree {
            Tree::Namespace { group, .. } => group.kill(),
            Tree::ProcessGroup => self.kill_group(),
        }
        // Fails when the process ended already.
        let _ = rustix::process::pidfd_send_signal(&self.process, Signal::KILL);
    }

    /// Kills the whole tree and waits until it is gone.
    pub(crate) fn end(&mut self) {
        self.kill();
        // Nothing is left to tell it to.
        let _ = self.reap(WaitIdOptions::empty());
    }

    /// Kills the group of a process that is not reaped yet, so that its id still names the group.
    fn kill_group(&self) {
        if let Some(id) = Pid::from_raw(self.id) {
            let _ = rustix::process::kill_process_group(id, Signal::KILL);
        }
    }

    /// Reaps the process if it ended, or waits until it did, and releases what it used.
    pub(crate) fn reap(&mut self, options: WaitIdOptions) -> io::Result<Option<Exit>> {
        let which = || WaitId::PidFd(self.process.as_fd());
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | options;
        if rustix::io::retry_on_intr(|| rustix::process::waitid(which(), look))?.is_none() {
            return Ok(None);
        }
        if matches!(self.tree, Tree::ProcessGroup) {
            self.kill_group();
        }
        let ended = rustix::process::waitid(which(), WaitIdOptions::EXITED)?;
        let own = ended.as_ref().map_or(Exit::Signal(libc::SIGKILL), exit_of);
        Ok(Some(self.release(own)))
    }

    fn release(&mut self, own: Exit) -> Exit {
        match std::mem::replace(&mut self.tree, Tree::ProcessGroup) {
            Tree::ProcessGroup => own,
            Tree::Namespace { status, group, placeholders } => {
                let mut bytes = [0; 4];
                let read = rustix::io::read(&status, &mut bytes[..]);
                drop((group, placeholders));
                match read {
                    Ok(4) => Exit::from_wait_status(i32::from_le_bytes(bytes)),
                    // Init was killed before it could tell.
                    _ => Exit::Signal(libc::SIGKILL),
                }
            }
        }
    }
}

/// Watches when a descriptor becomes readable: that of a process, or of anything else. Must be called within a runtime.
///
/// # Errors
/// When the descriptor is of a kind that cannot be watched.
#[expect(unsafe_code, reason = "tokio asks for a promise about the descriptor")]
pub fn watch(process: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor is open, owned by the result, and never exchanged.
    Ok(unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) }?)
}

fn exit_of(status: &WaitIdStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(libc::SIGKILL)),
    }
}

/// A started program. Dropping it kills the program and everything that it started, and blocks for the few
/// milliseconds until all is gone; [`Child::kill`] waits without blocking.
#[derive(Debug)]
pub struct Child {
    stdin: Option<Stdin>,
    stdout: Option<Stdout>,
    stderr: Option<Stderr>,
    /// Notified when the process ended; watches a copy of its descriptor.
    ended: AsyncFd<OwnedFd>,
    exit: Option<Exit>,
    started: Started,
}

impl Child {
    /// Attaches a started process to the current runtime. When that fails, the process is killed.
    pub(crate) fn new(mut started: Started) -> Result<Self, Error> {
        match Self::attach(&mut started) {
            Ok((stdin, stdout, stderr, ended)) => {
                Ok(Self { stdin: Some(stdin), stdout: Some(stdout), stderr: Some(stderr), ended, exit: None, started })
            }
            Err(source) => {
                // The first error is the one to tell.
                started.end();
                Err(Error::Process { doing: "watch the started program", source })
            }
        }
    }

    fn attach(started: &mut Started) -> io::Result<(Stdin, Stdout, Stderr, AsyncFd<OwnedFd>)> {
        let streams = started.streams.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok((
            Stdin::from_owned_fd(streams.stdin)?,
            Stdout::from_owned_fd(streams.stdout)?,
            Stderr::from_owned_fd(streams.stderr)?,
            watch(started.process.try_clone()?)?,
        ))
    }

    /// The writing end of its standard input, once.
    pub fn take_stdin(&mut self) -> Option<Stdin> {
        self.stdin.take()
    }

    /// The reading end of its standard output, once.
    pub fn take_stdout(&mut self) -> Option<Stdout> {
        self.stdout.take()
    }

    /// The reading end of its standard error, once.
    pub fn take_stderr(&mut self) -> Option<Stderr> {
        self.stderr.take()
    }

    /// The descriptor of its network device, once, when it was started with [`crate::Network::Broker`]: see
    /// [`crate::NetworkSpace::take_device`].
    pub fn take_network_device(&mut self) -> Option<OwnedFd> {
        self.started.device.take()
    }

    /// The process id on this machine: of the sandbox's init when confined.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.started.id.unsigned_abs()
    }

    /// Waits for its end. When the program ends, everything that it started in the sandbox ends as well. May be called
    /// again, and dropped and called again. Its standard input is not closed: take and drop it where the program reads
    /// to the end.
    ///
    /// # Errors
    /// When the process cannot be awaited.
    pub async fn wait(&mut self) -> Result<Exit, Error> {
        let failed = |source| Error::Process { doing: "wait for the program", source };
        loop {
            if let Some(exit) = self.exit {
                return Ok(exit);
            }
            let mut ready = self.ended.readable().await.map_err(failed)?;
            match self.started.reap(WaitIdOptions::NOHANG).map_err(failed)? {
                Some(exit) => self.exit = Some(exit),
                None => ready.clear_ready(),
            }
        }
    }

    /// Kills it and everything that it started, and waits until all is gone.
    ///
    /// # Errors
    /// When the process cannot be awaited.
    pub async fn kill(&mut self) -> Result<(), Error> {
        if self.exit.is_none() {
            self.started.kill();
            self.wait().await?;
        }
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.exit.is_none() {
            self.started.end();
        }
    }
}
