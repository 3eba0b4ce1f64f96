//! Who did it, and over which channel.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A user, a persona, or the system itself. Prints as `user:ada`, `persona:architect`, `system`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "snake_case")]
pub enum Actor {
    /// A person, by account name.
    User(String),
    /// A persona, by name.
    Persona(String),
    /// Masque itself: time-outs, recovery, scheduled work.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Persona(name) => write!(f, "persona:{name}"),
            Self::System => f.write_str("system"),
        }
    }
}

/// The way an instruction reached Masque.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// The command line.
    Cli,
    /// A time limit ran out.
    Timeout,
    /// A flag given when the run was started, such as `--approve`.
    Flag,
}

impl Channel {
    /// The name used in tables and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Timeout => "timeout",
            Self::Flag => "flag",
        }
    }
}
