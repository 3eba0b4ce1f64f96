//! The errors of this crate. What is wrong in a manifest is a diagnostic instead.

/// Why an export could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is broken.
    #[error("{file} cannot be read as a part of a fleet: {problem}; make it anew with `masque fleet render`")]
    Export {
        /// The file.
        file: String,
        /// What its reader said.
        problem: String,
    },
    /// Nothing in the files says which fleet they were made from.
    #[error(
        "these {what} were not made by `masque fleet render`: none carries the description of a fleet; name the directory that it wrote"
    )]
    NoExport {
        /// What was read.
        what: &'static str,
    },
    /// Some files of an export are not among those that were read.
    #[error(
        "these {what} lack {missing} of their fleet; name all files of the export, or the directory that `masque fleet render` wrote"
    )]
    Incomplete {
        /// What was read.
        what: &'static str,
        /// The services that are missing.
        missing: String,
    },
}

impl Error {
    pub(crate) fn export(file: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self::Export { file: file.into(), problem: problem.to_string() }
    }
}
