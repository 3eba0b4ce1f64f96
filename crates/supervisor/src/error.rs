//! What can go wrong in a supervisor and its clients.

use std::{io, path::PathBuf};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, a socket or a process could not be used; the message names it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Something of the sandbox's side: a program, a control group.
    #[error(transparent)]
    Sandbox(#[from] masque_sandbox::Error),
    /// Another supervisor has this state directory.
    #[error("process {process} supervises {} already", .directory.display())]
    Running {
        /// The state directory.
        directory: PathBuf,
        /// The other supervisor.
        process: u32,
    },
    /// Nobody answers in this state directory.
    #[error("no supervisor runs for {}", .directory.display())]
    NotRunning {
        /// The state directory.
        directory: PathBuf,
    },
    /// The supervisor does not do what was asked; its own sentence.
    #[error("{0}")]
    Refused(String),
    /// The other side of a socket said something that is no message of this version.
    #[error("the supervisor's answer cannot be read: {0}; is it of another version of Masque?")]
    Answer(String),
    /// The supervisor went away in the middle of an answer.
    #[error("the supervisor ended before it had answered")]
    Gone,
    /// A file of the state directory was written by a newer version.
    #[error("{}: cannot be read by this version of Masque: {why}", .path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}
