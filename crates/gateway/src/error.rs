//! What can be wrong with the gateway's configuration. Failures of calls are values of `masque_types::model`.

/// A configuration that no gateway can be built from. Holds no key and no credentialed URL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A provider's base URL is no HTTP URL.
    #[error(
        "provider `{provider}`: its base URL is not valid ({problem}); write one such as https://api.example.com/v1"
    )]
    BaseUrl {
        /// The provider's name.
        provider: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A header that cannot be sent.
    #[error("provider `{provider}`: the header `{header}` has a name or value that cannot be sent over HTTP")]
    Header {
        /// The provider's name.
        provider: String,
        /// The header's name.
        header: String,
    },
    /// A YAML file of this crate's formats (script, price table) that cannot be read.
    #[error("{file}:{line}: {problem}")]
    Yaml {
        /// The file, or the name that was given for the text.
        file: String,
        /// The line, from 1; 0 when the parser could not tell.
        line: u64,
        /// What was expected.
        problem: String,
    },
    /// A field of a script or price table with a value that cannot be used.
    #[error("{file}: {field}: {problem}")]
    Field {
        /// The file, or the name that was given for the text.
        file: String,
        /// Where in the file, for example `reply 3, text`.
        field: String,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// A file that cannot be read; the source names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The system's certificates cannot be used.
    #[error("no HTTPS connections are possible here: {0}")]
    Connections(String),
    /// A script that cannot be written as YAML.
    #[error("the script cannot be written as YAML: {0}")]
    Write(String),
}

impl Error {
    pub(crate) fn yaml(file: &str, error: &serde_saphyr::Error) -> Self {
        Self::Yaml {
            file: file.to_owned(),
            line: error.location().map_or(0, |location| location.line()),
            problem: error.without_snippet().to_string(),
        }
    }
}
