//! What can go wrong in memory, each with what to do about it. Leaves out what the store reports itself.

/// Why memory could not do something.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database could not.
    #[error(transparent)]
    Store(#[from] masque_store::Error),
    /// The embedding model failed; what was indexed before is kept, and the texts are found by their words.
    #[error("the embedding model {model} failed: {reason}")]
    Embedding {
        /// Whose vectors were wanted.
        model: String,
        /// What it said.
        reason: String,
    },
    /// The embedding model returned something other than one vector of its dimension for each text.
    #[error(
        "the embedding model {model} returned {got} where {expected} was expected: check which model the endpoint serves"
    )]
    WrongVectors {
        /// Whose vectors were wanted.
        model: String,
        /// What had to come.
        expected: String,
        /// What came.
        got: String,
    },
    /// A search that names nothing to look for, or nowhere to look.
    #[error("the search cannot be made: {0}")]
    Query(&'static str),
    /// Sizes of chunks that contradict each other.
    #[error(
        "chunks cannot be cut to {tokens} tokens with an overlap of {overlap}: the size must be at least {smallest} and the overlap at most half of it"
    )]
    ChunkSize {
        /// The size that was asked for.
        tokens: usize,
        /// The overlap that was asked for.
        overlap: usize,
        /// The smallest size that is possible.
        smallest: usize,
    },
    /// A pattern of a sync that is none.
    #[error("what belongs to the memory is not clear: {reason}")]
    Pattern {
        /// The pattern, and what is wrong with it.
        reason: String,
    },
    /// A directory could not be walked to its end.
    #[error("a directory could not be looked at: {reason}")]
    Walk {
        /// What happened.
        reason: String,
    },
    /// A line of an export that cannot be read.
    #[error("line {line} of the export cannot be read: {reason}; nothing from this line on was imported")]
    Import {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The file of an export could not be read or written.
    #[error("the export: {0}")]
    Io(#[from] std::io::Error),
    /// The configured directory of standards is none that can be used.
    #[error("standards.directory `{setting}` {problem}")]
    StandardsDirectory {
        /// The value.
        setting: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file of a standard cannot be read or written.
    #[error("{file} {problem}")]
    StandardFile {
        /// The file, from the project on.
        file: String,
        /// What is wrong.
        problem: String,
    },
}
