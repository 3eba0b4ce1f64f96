//! What clients ask a supervisor and what it answers: one JSON value a line, each way.

use masque_fleet::{
    model::ServiceId,
    status::{Change, FleetStatus, ServiceStatus, State},
};
use masque_types::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Request {
    /// Where every service stands.
    Status,
    /// The changes whose number is above `after`, as far as the supervisor remembers them, and those to come.
    Changes {
        /// The last number that is known.
        after: u64,
        /// Whether those to come are told too, until the client goes.
        follow: bool,
    },
    /// What services print.
    Logs {
        /// Target ones; all when empty.
        services: Vec<String>,
        /// How many of the last lines of each.
        lines: usize,
        /// Whether those to come are told too, until the client goes.
        follow: bool,
    },
    /// Services are to run.
    Up {
        /// Target ones.
        target: Target,
    },
    /// Services are to end, those that depend on them first.
    Down {
        /// Target ones.
        target: Target,
    },
    /// Services are to be started anew.
    Restart {
        /// Target ones.
        target: Target,
        /// Whether in waves, each of which has to become ready before the next one begins. The answer comes at the end.
        rolling: bool,
    },
    /// Why a service is where it is.
    Why {
        /// Target one.
        service: String,
    },
    /// The manifest is to be read again. What changed is replaced in waves.
    Reload,
    /// Everything is to end, and the supervisor too. The connection is closed when it has.
    Shutdown,
}

/// Target services a request means. Names are `name` or `host/name`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// All of this supervisor.
    All,
    /// These.
    Services(Vec<String>),
    /// Those of a group.
    Group(String),
}

/// What a supervisor answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", content = "content", rename_all = "snake_case")]
pub enum Answer {
    /// Where every service stands.
    Status(Box<FleetStatus>),
    /// One change.
    Change(Change),
    /// One line that a service printed.
    Line(LogLine),
    /// So many changes or lines were left out because the client read too slowly.
    Missed(u64),
    /// Why a service is where it is.
    Explanation(Box<Explanation>),
    /// The end of a rolling replacement.
    Rolled(Rolled),
    /// It is done, or begun where it takes time. Ends the answer.
    Done,
    /// It is not done, and why. Ends the answer.
    Failed(String),
}

impl Answer {
    /// Whether nothing more belongs to the same request.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::Done | Self::Failed(_))
    }
}

/// A line that a service printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Target service.
    pub id: ServiceId,
    /// When it was read.
    pub at: Timestamp,
    /// Its text; what is no UTF-8 is replaced.
    pub text: String,
}

/// Why a service is where it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The service itself.
    pub service: ServiceStatus,
    /// What it waits for, and what that waits for, down to where it ends.
    pub waits: Vec<Wait>,
    /// Services that need it.
    pub dependants: Vec<ServiceId>,
    /// Its last changes, oldest first.
    pub changes: Vec<Change>,
    /// The last lines that it printed.
    pub printed: Vec<LogLine>,
}

/// One step of a chain of waiting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// How far from the asked service: 1 for what it waits for itself.
    pub depth: usize,
    /// What is waited for.
    pub id: ServiceId,
    /// Where it stands; absent when nothing is known of it.
    pub state: Option<State>,
    /// Why.
    pub why: Vec<String>,
}

/// How a rolling replacement went.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rolled {
    /// The services that were replaced, wave by wave.
    pub waves: Vec<Vec<ServiceId>>,
    /// Why it halted; absent when it came to its end.
    pub halted: Option<String>,
    /// The services that were put back.
    pub rolled_back: Vec<ServiceId>,
}
