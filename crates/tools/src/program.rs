//! A program of a persona, wherever it runs: how it is started, its three streams, and its end.
//!
//! Leaves out what it may touch, which stands in the profile of the sandbox, or of the container.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, sync::Arc};

use masque_container::{Exec, Session};
use masque_sandbox::{Child, Command, Exit, Launcher, Pool, Profile};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::environment::container::SharedHouse;

/// The writing end of a program's standard input.
pub(crate) type Input = Box<dyn AsyncWrite + Send + Unpin>;
/// The reading end of a program's standard output or error.
pub(crate) type Output = Box<dyn AsyncRead + Send + Unpin>;

/// What starts programs, and what they may touch.
#[derive(Debug, Clone)]
pub(crate) enum Starter {
    /// On this machine, as the profile says.
    Sandbox {
        /// What starts.
        launcher: Launcher,
        /// What may be touched.
        profile: Arc<Profile>,
    },
    /// The same, from sandboxes that were started ahead.
    Pooled {
        /// What starts.
        pool: Arc<Pool>,
        /// What may be touched.
        profile: Arc<Profile>,
    },
    /// In a container.
    Container(SharedHouse),
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// By the sandbox.
    #[error(transparent)]
    Sandbox(#[from] masque_sandbox::Error),
    /// By the container.
    #[error(transparent)]
    Container(#[from] masque_container::Error),
}

/// What is started.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// The program.
    pub(crate) program: OsString,
    /// Its arguments.
    pub(crate) args: Vec<OsString>,
    /// Its whole environment.
    pub(crate) env: BTreeMap<OsString, OsString>,
    /// Where it starts.
    pub(crate) directory: PathBuf,
}

/// A started program. Dropping it ends it.
pub(crate) struct Program {
    stdin: Option<Input>,
    stdout: Option<Output>,
    stderr: Option<Output>,
    running: Running,
}

enum Running {
    Child(Child),
    Session(Session),
}

impl Starter {
    /// Starts a program.
    ///
    /// # Errors
    /// When it cannot be started, or not confined as it has to be.
    pub(crate) async fn start(&self, start: &Start) -> Result<Program, StartError> {
        match self {
            Self::Sandbox { launcher, profile } => Ok(Program::of_child(launcher.spawn(profile, &start.command())?)),
            Self::Pooled { pool, profile } => Ok(Program::of_child(pool.spawn(profile, &start.command())?)),
            Self::Container(house) => {
                let exec = Exec {
                    program: start.program.clone(),
                    args: start.args.clone(),
                    env: start.env.clone(),
                    directory: start.directory.clone(),
                };
                Ok(Program::of_session(house.exec(exec).await?))
            }
        }
    }
}

impl Start {
    fn command(&self) -> Command {
        Command {
            program: self.program.clone(),
            args: self.args.clone(),
            env: self.env.clone(),
            directory: self.directory.clone(),
        }
    }
}

impl Program {
    fn of_child(mut child: Child) -> Self {
        Self {
            stdin: child.take_stdin().map(|stream| Box::new(stream) as Input),
            stdout: child.take_stdout().map(|stream| Box::new(stream) as Output),
            stderr: child.take_stderr().map(|stream| Box::new(stream) as Output),
            running: Running::Child(child),
        }
    }

    fn of_session(mut session: Session) -> Self {
        Self {
            stdin: session.take_stdin().map(|stream| Box::new(stream) as Input),
            stdout: session.take_stdout().map(|stream| Box::new(stream) as Output),
            stderr: session.take_stderr().map(|stream| Box::new(stream) as Output),
            running: Running::Session(session),
        }
    }

    /// The writing end of its standard input, once. Dropping it is the end of the input.
    pub(crate) fn take_stdin(&mut self) -> Option<Input> {
        self.stdin.take()
    }

    /// The reading end of its standard output, once.
    pub(crate) fn take_stdout(&mut self) -> Option<Output> {
        self.stdout.take()
    }

    /// The reading end of its standard error, once.
    pub(crate) fn take_stderr(&mut self) -> Option<Output> {
        self.stderr.take()
    }

    /// Waits for its end. May be dropped and called again.
    ///
    /// # Errors
    /// When it cannot be awaited.
    pub(crate) async fn wait(&mut self) -> Result<Exit, String> {
        match &mut self.running {
            Running::Child(child) => child.wait().await.map_err(|error| error.to_string()),
            Running::Session(session) => match session.wait().await {
                Ok(masque_container::Exit::Code(code)) => Ok(Exit::Code(code)),
                Ok(masque_container::Exit::Signal(signal)) => Ok(Exit::Signal(signal)),
                Err(error) => Err(error.to_string()),
            },
        }
    }

    /// Ends it and everything that it started.
    pub(crate) async fn kill(&mut self) {
        let killed = match &mut self.running {
            Running::Child(child) => child.kill().await.map(drop).map_err(|error| error.to_string()),
            Running::Session(session) => session.kill().await.map_err(|error| error.to_string()),
        };
        if let Err(error) = killed {
            tracing::warn!(%error, "a program could not be ended");
        }
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").finish_non_exhaustive()
    }
}
