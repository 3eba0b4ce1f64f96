//! A program that runs in a container: its streams, its end, and the kill of its whole tree.

use std::os::{
    fd::{AsFd, OwnedFd},
    unix::ffi::OsStrExt as _,
};

use rustix::pipe::PipeFlags;
use tokio::net::UnixStream;

use crate::{
    Error, Exec,
    protocol::{self, Answer, Frames, Request},
};

/// The writing end of the program's standard input. Closing it is the end of the input.
pub type Stdin = tokio::net::unix::pipe::Sender;
/// The reading end of the program's standard output.
pub type Stdout = tokio::net::unix::pipe::Receiver;
/// The reading end of the program's standard error.
pub type Stderr = tokio::net::unix::pipe::Receiver;

/// SIGKILL, which is what ended a program whose supervisor is gone.
const KILLED: i32 = 9;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It returned this code.
    Code(i32),
    /// It was ended by this signal: 9 after a kill, when memory was exhausted, or when the container was removed.
    Signal(i32),
}

impl Exit {
    /// Whether it returned 0.
    #[must_use]
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }
}

/// A started program. Dropping it kills the program and everything that it started, without waiting for their end.
#[derive(Debug)]
pub struct Session {
    stdin: Option<Stdin>,
    stdout: Option<Stdout>,
    stderr: Option<Stderr>,
    socket: UnixStream,
    frames: Frames,
    exit: Option<Exit>,
}

impl Session {
    /// Starts a program by way of its supervisor, which reads the other end of the socket.
    pub(crate) async fn open(mut socket: UnixStream, exec: &Exec) -> Result<Self, Error> {
        let failed = Error::system("pass a program to the container");
        let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed(errno.into()));
        let ((input, stdin), (stdout, output), (stderr, error)) = (pipe()?, pipe()?, pipe()?);
        let (stdin, stdout, stderr) = attach(stdin, stdout, stderr).map_err(&failed)?;
        let request = Request {
            program: exec.program.clone(),
            args: exec.args.clone(),
            env: exec.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            directory: exec.directory.clone().into(),
        };
        match protocol::send_with(&mut socket, &request, &[input.as_fd(), output.as_fd(), error.as_fd()]).await {
            Err(error) if is_closed(&error) => {}
            result => result.map_err(&failed)?,
        }
        drop((input, output, error));
        let mut frames = Frames::default();
        match frames.next(&mut socket).await {
            Ok(Some(Answer::Started)) => {
                Ok(Self { stdin: Some(stdin), stdout: Some(stdout), stderr: Some(stderr), socket, frames, exit: None })
            }
            Ok(Some(Answer::Failed(problem))) => {
                let program = String::from_utf8_lossy(exec.program.as_bytes()).into_owned();
                Err(Error::Program { program, problem })
            }
            Ok(Some(Answer::Code(_) | Answer::Signal(_))) => Err(failed(std::io::ErrorKind::InvalidData.into())),
            Ok(None) => Err(Error::Gone),
            Err(error) if is_closed(&error) => Err(Error::Gone),
            Err(error) => Err(failed(error)),
        }
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

    /// Waits for its end, and for the end of everything that it started, which is killed then. May be called again, and
    /// dropped and called again. Its standard input is not closed: take and drop it where the program reads to the end.
    ///
    /// # Errors
    /// When the socket of the program breaks.
    pub async fn wait(&mut self) -> Result<Exit, Error> {
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        let failed = Error::system("wait for a program in the container");
        let exit = match self.frames.next(&mut self.socket).await {
            Ok(Some(Answer::Code(code))) => Exit::Code(code),
            Ok(Some(Answer::Signal(signal))) => Exit::Signal(signal),
            Ok(Some(Answer::Started | Answer::Failed(_))) => {
                return Err(failed(std::io::ErrorKind::InvalidData.into()));
            }
            // The supervisor was killed before it could tell, and with it all that it had adopted.
            Ok(None) => Exit::Signal(KILLED),
            Err(error) if is_closed(&error) => Exit::Signal(KILLED),
            Err(error) => return Err(failed(error)),
        };
        self.exit = Some(exit);
        Ok(exit)
    }

    /// Kills it and everything that it started, and waits until all is gone.
    ///
    /// # Errors
    /// When the socket of the program breaks.
    pub async fn kill(&mut self) -> Result<(), Error> {
        if self.exit.is_none() {
            // The supervisor may be gone already: then there is nothing to kill.
            let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Write);
            self.wait().await?;
        }
        Ok(())
    }
}

fn attach(stdin: OwnedFd, stdout: OwnedFd, stderr: OwnedFd) -> std::io::Result<(Stdin, Stdout, Stderr)> {
    Ok((Stdin::from_owned_fd(stdin)?, Stdout::from_owned_fd(stdout)?, Stderr::from_owned_fd(stderr)?))
}

/// Whether the other side is gone.
pub(crate) fn is_closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionReset | NotConnected)
}
