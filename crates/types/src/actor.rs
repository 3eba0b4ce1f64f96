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
    /// A tool call of an MCP client: what sent it may be a model, so it is no proof of a person.
    Mcp,
    /// An answer to a form that an MCP client showed: hooks and settings of clients answer such forms too.
    Elicitation,
}

impl Channel {
    /// The name used in tables and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Timeout => "timeout",
            Self::Flag => "flag",
            Self::Mcp => "mcp",
            Self::Elicitation => "elicitation",
        }
    }
}

/// From where an instruction reached Masque.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// From a program of the same user on this machine, over its standard streams or a terminal.
    Local,
    /// Over a network connection, with a token.
    Remote,
}

/// Who asks, and from where. Authority of remote callers is smaller, whatever they are called.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Caller {
    /// Who.
    pub actor: Actor,
    /// From where.
    pub reach: Reach,
}
