//! The errors of this crate.

use std::{io, path::PathBuf};

/// Why a program could not be started or awaited.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine lacks something that the profile needs. Nothing was started.
    #[error(
        "this machine cannot enforce the sandbox: {mechanism} failed while {doing}: {source}; `masque doctor` shows what is missing"
    )]
    Mechanism {
        /// The missing mechanism.
        mechanism: &'static str,
        /// What was being done.
        doing: String,
        /// What the kernel answered.
        source: io::Error,
    },
    /// A path of the profile cannot be used.
    #[error("sandbox path {path}: {problem}", path = path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// A pattern of hidden paths is not a pattern.
    #[error("hidden pattern `{pattern}` is not valid: {problem}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The workspace is too large to find what must be hidden in it.
    #[error(
        "workspace {workspace} has more than {limit} {what}, so hidden paths cannot be found; use a smaller directory",
        workspace = workspace.display()
    )]
    TooLarge {
        /// The workspace.
        workspace: PathBuf,
        /// What was counted.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
    },
    /// A network device cannot be what it is to be.
    #[error("network device `{name}`: {problem}")]
    Device {
        /// Its name.
        name: String,
        /// What is wrong with its settings.
        problem: &'static str,
    },
    /// The program, its arguments or its environment contain a zero byte.
    #[error("{what} contains a zero byte")]
    ZeroByte {
        /// Which text.
        what: &'static str,
    },
    /// The program could not be executed.
    #[error(
        "cannot execute `{program}` in the sandbox: {source}; check its name, PATH, and that its files are readable there"
    )]
    Program {
        /// The program.
        program: String,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The pipes or the process could not be handled.
    #[error("cannot {doing}: {source}")]
    Process {
        /// What was being done.
        doing: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
    /// A service's program is nowhere to be found.
    #[error("program `{program}` is not there; it was looked for in {searched}")]
    NotFound {
        /// The program.
        program: String,
        /// Where it was looked for.
        searched: String,
    },
    /// A service's program is there and cannot be executed.
    #[error("`{program}` cannot be executed: {source}; check its permissions and, of a script, its first line")]
    NotExecutable {
        /// The program.
        program: String,
        /// What the kernel answered.
        source: io::Error,
    },
    /// This machine has no such user or group.
    #[error("this machine has no {kind} `{name}`")]
    NoAccount {
        /// `user` or `group`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A service cannot be started in its directory.
    #[error("directory {directory} cannot be entered: {source}", directory = directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
    /// The file or pipe for a service's output cannot be opened.
    #[error("output {path} cannot be opened: {source}", path = path.display())]
    Output {
        /// The file.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
    /// A service could not be given what it is to have: a limit, a session, an account.
    #[error("`{program}` was not started: {doing} failed: {source}")]
    Surroundings {
        /// The program.
        program: String,
        /// What was being done.
        doing: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
    /// A control group cannot be made or set.
    #[error("control group {group}: {source}", group = group.display())]
    Group {
        /// The file or directory of the group.
        group: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
    /// A process to take over is not there any more; its number may belong to another one.
    #[error("process {process} is not there any more")]
    Gone {
        /// Its number.
        process: u32,
    },
    /// Processes of a service outlive being killed: the kernel waits for something in their place.
    #[error("processes {processes:?} do not end although they were killed; a device or a network file system may hang")]
    Unkillable {
        /// Their numbers.
        processes: Vec<u32>,
    },
}
