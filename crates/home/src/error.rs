//! What can go wrong with what a persona keeps.

use std::path::PathBuf;

/// An error about a home, its versions, a key, an identity or an icon.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused; the message names the file.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// A text that cannot be a name.
    #[error("`{given}` cannot be the name of {what}: 1 to 64 lower-case letters, digits and `-` are expected")]
    Name {
        /// What was given.
        given: String,
        /// What it was to be the name of.
        what: &'static str,
    },
    /// A name that people would take for another one.
    #[error("the name `{name}` looks like `{other}`, which exists: choose a name that cannot be taken for it")]
    LookAlike {
        /// The refused name.
        name: String,
        /// The name that exists.
        other: String,
    },
    /// An icon that people would take for another persona's.
    #[error("the icon looks like the one of `{other}`: choose one that cannot be taken for it")]
    SameIcon {
        /// Whose icon it resembles.
        other: String,
    },
    /// Bytes that were changed since they were written, or were written with another key.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// The file or value.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The key that everything is sealed with cannot be used.
    #[error("the sealing key {path} cannot be used: {why}", path = path.display())]
    RootKey {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Others can read the key that everything is sealed with.
    #[error("{path} can be read by others", path = path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The sealing key comes from a passphrase that was not given, or was wrong.
    #[error("everything is sealed with a passphrase, and {why}")]
    Passphrase {
        /// What is wrong.
        why: &'static str,
    },
    /// There is no version of that number or time.
    #[error("`{persona}` has no version {wanted}")]
    NoVersion {
        /// Whose versions.
        persona: String,
        /// What was asked for.
        wanted: String,
    },
    /// There is nothing of that name.
    #[error("`{persona}` has no {what}")]
    Nothing {
        /// Whose it would be.
        persona: String,
        /// What there is not.
        what: String,
    },
    /// A file changed each time that it was read.
    #[error("{path} is written to all the time: stop what writes it, then try again", path = path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// A file that no version can hold.
    #[error("{path} cannot be kept: {why}", path = path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A picture that cannot be an icon.
    #[error("the icon cannot be used: {why}")]
    Icon {
        /// What is wrong, with the place in the file.
        why: String,
    },
}

impl Error {
    pub(crate) fn damaged(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Damaged { what: what.into(), why: why.into() }
    }
}

impl From<rustix::io::Errno> for Error {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::File(errno.into())
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::damaged("a record", error.to_string())
    }
}
