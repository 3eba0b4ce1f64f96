//! What can be wrong with a broker's rules or with starting it. What a program is refused is a [`crate::Refusal`].

/// Why rules are not understood or a broker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule is not `host`, `host:port` or `host:*`.
    #[error("network rule `{rule}`: {problem}")]
    Rule {
        /// The rule as it was written.
        rule: String,
        /// What is wrong, and what to write instead.
        problem: String,
    },
    /// A secret cannot be handed out as asked.
    #[error("secret `{name}`: {problem}")]
    Secret {
        /// The secret's name.
        name: String,
        /// What is wrong, and what to do. Never the value.
        problem: String,
    },
    /// The certificate authority of the broker could not be made.
    #[error("no certificates can be issued here: {0}")]
    Certificates(String),
    /// The network device cannot be used.
    #[error("the sandbox's network device cannot be used: {0}")]
    Device(#[source] std::io::Error),
}
