//! What can go wrong in a use case, sorted by what the caller can do about it.

use masque_types::diagnostic::Diagnostic;

/// The class of an error; each surface maps it to its own code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The request is wrong: a name, an option, an input.
    Usage,
    /// The request is understood and not permitted, or cannot be met safely.
    Refused,
    /// Something that Masque stands on failed: store, file system, network.
    Environment,
}

/// An error of a use case: what is wrong, and beside it what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Its class.
    pub kind: Kind,
    /// What is wrong.
    pub message: String,
    /// What to do next, one way per entry.
    pub hints: Vec<String>,
}

impl Error {
    /// The request is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, message: message.into(), hints: Vec::new() }
    }

    /// The request is not permitted or cannot be met safely.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { kind: Kind::Refused, message: message.into(), hints: Vec::new() }
    }

    /// Something underneath failed.
    pub fn environment(message: impl Into<String>) -> Self {
        Self { kind: Kind::Environment, message: message.into(), hints: Vec::new() }
    }

    /// Adds a way to go on.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl From<masque_store::Error> for Error {
    fn from(error: masque_store::Error) -> Self {
        Self::environment(error.to_string())
    }
}

impl From<masque_engine::Error> for Error {
    fn from(error: masque_engine::Error) -> Self {
        match error {
            masque_engine::Error::NoSuchRun(_) => Self::usage(error.to_string()),
            _ => Self::environment(error.to_string()),
        }
    }
}

impl From<masque_home::Error> for Error {
    fn from(error: masque_home::Error) -> Self {
        use masque_home::Error as E;
        let message = error.to_string();
        match error {
            E::Name { .. } | E::LookAlike { .. } | E::SameIcon { .. } | E::Nothing { .. } | E::Icon { .. } => {
                Self::usage(message)
            }
            E::NoVersion { persona, .. } => {
                Self::usage(message).hint(format!("`masque persona history {persona}` lists the versions"))
            }
            E::Exposed { path } => Self::refused(message)
                .hint(format!("chmod 600 {}, and set your keys again if others may have read it", path.display())),
            E::Passphrase { .. } => Self::environment(message).hint("set MASQUE_SEAL_PASSPHRASE to the passphrase"),
            _ => Self::environment(message),
        }
    }
}

impl From<masque_memory::Error> for Error {
    fn from(error: masque_memory::Error) -> Self {
        use masque_memory::Error as E;
        match error {
            E::Query(_) | E::ChunkSize { .. } | E::Import { .. } | E::StandardsDirectory { .. } => {
                Self::usage(error.to_string())
            }
            _ => Self::environment(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::environment(error.to_string())
    }
}

impl From<Diagnostic> for Error {
    fn from(mut diagnostic: Diagnostic) -> Self {
        let hints = diagnostic.hint.take().into_iter().collect();
        Self { kind: Kind::Usage, message: diagnostic.to_string(), hints }
    }
}
