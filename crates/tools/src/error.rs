//! What can go wrong with an environment as a whole. What goes wrong inside a tool is an output for the model.

use std::path::PathBuf;

/// Why an environment or a tool server cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The workspace cannot be used.
    #[error("the workspace `{path}` cannot be opened: {source}; give an existing directory that you may read")]
    Workspace {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A pattern of the hidden paths is wrong.
    #[error("the pattern `{pattern}` of the hidden paths is not a glob: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// Why.
        reason: String,
    },
    /// A directory of the persona's sandbox does not lie in the workspace.
    #[error(
        "`sandbox.rw` of persona `{persona}` names `{path}`; name a directory in the workspace, relative to it, without `..`"
    )]
    Writable {
        /// The persona.
        persona: String,
        /// What it names.
        path: String,
    },
    /// Masque's own directory would be given to programs.
    #[error(
        "persona `{persona}` would get `{path}`, where Masque keeps keys, journals and settings; work in another \
         directory, or name narrower ones in `sandbox.fs.ro`"
    )]
    Private {
        /// The persona.
        persona: String,
        /// What it would get.
        path: PathBuf,
    },
    /// The argument of the tool server is not its configuration.
    #[error("the tool server's configuration is not valid: {0}; it is written by Masque, not by hand")]
    Configuration(#[source] serde_json::Error),
    /// The sandbox cannot be enforced, or a program cannot be started in it.
    #[error("the sandbox of `{server}`: {source}")]
    Sandbox {
        /// What was to be started.
        server: String,
        /// Why it was not.
        source: masque_sandbox::Error,
    },
    /// A server did not come up.
    #[error("`{server}` did not start: {reason}")]
    Start {
        /// The server.
        server: String,
        /// What happened, with the end of its standard error output.
        reason: String,
    },
    /// The connection of a tool server broke.
    #[error("the tool server's connection failed: {0}")]
    Serve(String),
    /// The persona's network cannot be had.
    #[error("the persona's network: {0}")]
    Network(String),
    /// A container cannot be had.
    #[error(transparent)]
    Container(masque_container::Error),
    /// A persona is to run in a container that nobody described.
    #[error(
        "persona `{persona}` names no container image; add `masque: {{ sandbox: {{ container: {{ image: NAME }} }} }}` to its file"
    )]
    NoImage {
        /// The persona.
        persona: String,
    },
    /// A hook cannot be run.
    #[error("the hook {hook} of persona `{persona}`: {problem}")]
    Hook {
        /// The persona.
        persona: String,
        /// The hook's key.
        hook: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The private directory of programs that run without a sandbox cannot be made.
    #[error(
        "a private temporary directory cannot be made: {0}; check the permissions and the space of the temporary directory"
    )]
    Temporary(#[source] std::io::Error),
}
