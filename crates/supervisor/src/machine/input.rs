//! [`Input`]: what the machine is told. Leaves out how it is found out.

use std::{fmt, time::Duration};

use masque_fleet::{
    model::{Service, ServiceId},
    status::State,
};

use super::Resolved;

/// Which services are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All that the board owns.
    All,
    /// All that the board owns but these, even where others need them.
    AllBut(Vec<ServiceId>),
    /// These.
    Services(Vec<ServiceId>),
    /// Those of a group.
    Group(String),
}

/// Which of its two probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Which {
    /// Whether it can be used.
    Ready,
    /// Whether it still works.
    Live,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is well.
    Healthy,
    /// It answers, and says that it is not well.
    Degraded(String),
    /// It does not answer, or not as expected.
    Unhealthy(String),
}

/// What a service said about itself on its notify socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// `READY=1`.
    Ready,
    /// `RELOADING=1`.
    Reloading,
    /// `STOPPING=1`.
    Stopping,
    /// `STATUS=`: a sentence.
    Status(String),
    /// `WATCHDOG=1`.
    Watchdog,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It is not there any more; it was not a child of this supervisor.
    Unknown,
}

impl End {
    /// Whether that is success.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Code(0))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "signal {name}"),
                None => write!(f, "signal {number}"),
            },
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// Names of the signals that end programs, by their numbers on Linux.
const fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        5 => "TRAP",
        6 => "ABRT",
        7 => "BUS",
        8 => "FPE",
        9 => "KILL",
        10 => "USR1",
        11 => "SEGV",
        12 => "USR2",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        24 => "XCPU",
        25 => "XFSZ",
        31 => "SYS",
        _ => return None,
    })
}

/// What happened, or what somebody wants. `instance` is the number that [`Start`](super::Action::Start) gave; what is
/// told of another instance than the present one is ignored.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Start these. Services that a named service needs are started too. Standbys start only when they are named.
    Up(Selection),
    /// End these, dependants before what they need.
    Down(Selection),
    /// End and start these, dependants before what they need. What is not running is started, also when given up.
    Restart(Selection),
    /// The program runs.
    Started {
        /// Which service.
        id: ServiceId,
        /// Which instance.
        instance: u64,
        /// Its first process.
        pid: u32,
    },
    /// The program could not be started.
    NotStarted {
        /// Which service.
        id: ServiceId,
        /// Which instance.
        instance: u64,
        /// Why, in a sentence.
        why: String,
    },
    /// A check was made.
    Probed {
        /// Which service.
        id: ServiceId,
        /// Which instance.
        instance: u64,
        /// Which probe.
        which: Which,
        /// What it found.
        outcome: Outcome,
        /// How long it took.
        took: Duration,
    },
    /// The service said something about itself.
    Notified {
        /// Which service.
        id: ServiceId,
        /// Which instance.
        instance: u64,
        /// What it said.
        what: Notice,
    },
    /// All processes of the instance are gone.
    Ended {
        /// Which service.
        id: ServiceId,
        /// Which instance.
        instance: u64,
        /// How its first process ended.
        end: End,
    },
    /// What the supervisor of another service told; `None` when it is not heard any more.
    Remote {
        /// Which service.
        id: ServiceId,
        /// Where it stands.
        state: Option<State>,
    },
    /// Its script or program is not there. Told before `Up`.
    Missing {
        /// Which service.
        id: ServiceId,
        /// What is not there, in a sentence.
        why: String,
    },
    /// An instance that an earlier supervisor started still runs; one that ended meanwhile is told like this too, and
    /// `Ended` after all others. Tell all of them, and then `Up`: until something else
    /// than `Adopted` is told, nothing is concluded from what is missing.
    Adopted {
        /// Which service.
        id: ServiceId,
        /// The number that the earlier supervisor gave.
        instance: u64,
        /// Its first process.
        pid: u32,
        /// Whether it had become ready.
        ready: bool,
        /// What it was told about its dependencies last; absent where that is not known.
        told: Option<Vec<Resolved>>,
    },
    /// From its next start on the service is like this. A service that is not known yet is added to those of this board.
    Redefine(Box<Service>),
    /// A service of another supervisor is like this.
    Elsewhere(Box<Service>),
    /// Time passed.
    Tick,
}
