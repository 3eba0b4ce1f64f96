//! What can go wrong with an embedding model.

use std::path::PathBuf;

/// An error of an embedding model, its files, or the endpoint that serves it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory or archive has not what makes a model.
    #[error("{place} has no `{file}`: expected the files of {model}")]
    Missing {
        /// The directory, archive or address.
        place: String,
        /// The file that is not there.
        file: String,
        /// The model that was looked for.
        model: &'static str,
    },
    /// A file is not the one that was published.
    #[error("`{file}` of {place} is not that of {model}: expected SHA-256 {expected}, got {got}; it was not used")]
    Digest {
        /// The directory, archive or address.
        place: String,
        /// The file.
        file: String,
        /// The model that was looked for.
        model: &'static str,
        /// The published digest.
        expected: String,
        /// The digest of what was there.
        got: String,
    },
    /// The weights or the tokenizer cannot be read.
    #[error("{path}: {problem}; fetch the model again")]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The computation failed.
    #[error("the embedding could not be computed: {0}")]
    Compute(String),
    /// The caller left before the end.
    #[error("embedding was stopped")]
    Stopped,
    /// An archive cannot be read.
    #[error("{path} is no readable wheel or zip file: {problem}")]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A server cannot be used; the message names it without its credentials.
    #[error("{server}: {problem}")]
    Server {
        /// Host and model.
        server: String,
        /// What is wrong.
        problem: String,
    },
    /// A file cannot be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
