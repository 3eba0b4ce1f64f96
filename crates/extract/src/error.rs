//! Why a document was not extracted.

use crate::Format;

/// Why a document was not extracted. The messages speak of "it": the caller knows the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is larger than what is read.
    #[error("it has {bytes} bytes, more than the {limit} that are read; split it, or raise the limit")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The largest size.
        limit: u64,
    },
    /// It is no text and no document.
    #[error("it is no text: its bytes look like {looks_like}; convert it to text or PDF, or leave it out")]
    Binary {
        /// What it looks like: `a PNG image`.
        looks_like: String,
    },
    /// It is a document of a kind that is not read.
    #[error("{what} cannot be read; save it as {instead}")]
    Unsupported {
        /// What it is.
        what: &'static str,
        /// What can be read.
        instead: &'static str,
    },
    /// It asks for more than a document needs, as attacks do.
    #[error("it has more than {limit} {what}, as no honest document has; it is not read")]
    Excessive {
        /// What there is too much of.
        what: &'static str,
        /// The most that is accepted.
        limit: u64,
    },
    /// It needs a password.
    #[error("the {} is encrypted; save it without a password", format.noun())]
    Encrypted {
        /// What it is.
        format: Format,
    },
    /// It is not what its beginning promises.
    #[error("the {} is broken: {problem}; open it in the program that made it and save it again", format.noun())]
    Broken {
        /// What it is.
        format: Format,
        /// What is wrong.
        problem: String,
    },
}

impl Error {
    /// A document that is not what its beginning promises.
    pub(crate) fn broken(format: Format, problem: impl ToString) -> Self {
        Self::Broken { format, problem: problem.to_string() }
    }
}
