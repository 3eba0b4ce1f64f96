//! The errors of this crate.

use std::{io, path::PathBuf};

/// Why there is no container, or no program in it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No engine answers.
    #[error(
        "no container engine answers: tried {tried}; start one (`systemctl --user start podman.socket`, `systemctl start docker`), or name its socket"
    )]
    NoEngine {
        /// The sockets, each with the reason.
        tried: String,
    },
    /// The engine lacks something that the container needs. Nothing was started.
    #[error("{engine} cannot enforce {what}; {hint}")]
    Unenforceable {
        /// The engine.
        engine: String,
        /// What was asked for.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// The container runs, but not as it was asked for; it was removed.
    #[error(
        "{engine} did not enforce what the container needs: {problems}; nothing was run in it. Check the engine's configuration and what changed in these paths"
    )]
    NotEnforced {
        /// The engine.
        engine: String,
        /// What was found inside.
        problems: String,
    },
    /// The engine does not have this runtime.
    #[error("{engine} has no runtime `{runtime}`, it has: {known}; {hint}")]
    Runtime {
        /// The engine.
        engine: String,
        /// What was asked for.
        runtime: String,
        /// What there is.
        known: String,
        /// What to do.
        hint: String,
    },
    /// The engine does not have this image.
    #[error("image `{image}` is not there, and images are never fetched on their own; get it with `{command}`")]
    Image {
        /// The image.
        image: String,
        /// The command that gets it.
        command: String,
    },
    /// An instruction of a build failed.
    #[error("image `{image}` could not be built: {problem}; mend its instructions, or what they copy")]
    Build {
        /// The image.
        image: String,
        /// What the engine said.
        problem: String,
    },
    /// A path cannot be mounted.
    #[error("container path {path}: {problem}", path = path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// A value of the container or the program cannot be used.
    #[error("{what}: {problem}")]
    Value {
        /// Which one.
        what: &'static str,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// The engine refused a request or broke off.
    #[error("{engine} could not {doing}: {source}")]
    Engine {
        /// The engine.
        engine: String,
        /// What was asked of it.
        doing: &'static str,
        /// What it answered.
        source: Box<bollard::errors::Error>,
    },
    /// The first process of the container did not report.
    #[error(
        "the container of image `{image}` did not come up: {problem}; the image must be of this machine's architecture, and the engine must let containers reach a mounted socket (gVisor: `--host-uds=open`)"
    )]
    Init {
        /// The image.
        image: String,
        /// What was seen.
        problem: String,
    },
    /// The program could not be executed.
    #[error(
        "cannot execute `{program}` in the container: {problem}; check its name, PATH and directory, and that the image has it"
    )]
    Program {
        /// The program.
        program: String,
        /// What the kernel answered.
        problem: String,
    },
    /// The container is gone: it was removed, or its memory was exhausted.
    #[error("the container is gone; it was removed or killed from outside, or ran out of memory: start a new one")]
    Gone,
    /// Pipes, sockets or files of this machine could not be handled.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What the kernel answered.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn system(doing: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { doing, source }
    }
}
