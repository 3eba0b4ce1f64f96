//! What supervisors tell: the state of each service, and why. Plain data, the same in every surface.

use std::time::Duration;

use masque_types::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::ServiceId;

/// Where a service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody wants it to run yet: a standby, or the fleet is down.
    Declared,
    /// It waits for what it needs.
    Blocked,
    /// Its program runs and is not ready yet.
    Starting,
    /// It is ready.
    Ready,
    /// It runs, but not well: it says so, its checks fail, or something that it needs is away.
    Degraded,
    /// It was asked to end.
    Stopping,
    /// It ended because somebody wanted it.
    Stopped,
    /// It ended by itself, and the time until its next start runs.
    Waiting,
    /// A task that came to its end.
    Completed,
    /// It was given up.
    Failed,
    /// It is missing or was given up, and another one stands in.
    Substituted,
}

impl State {
    /// All of them, in the order of a service's life.
    pub const ALL: [Self; 11] = [
        Self::Declared,
        Self::Blocked,
        Self::Starting,
        Self::Ready,
        Self::Degraded,
        Self::Stopping,
        Self::Stopped,
        Self::Waiting,
        Self::Completed,
        Self::Failed,
        Self::Substituted,
    ];

    /// Whether others can use it.
    #[must_use]
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded | Self::Completed | Self::Substituted)
    }

    /// Whether it stays so unless something happens.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        !matches!(self, Self::Blocked | Self::Starting | Self::Stopping | Self::Waiting)
    }

    /// Its word, as in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Blocked => "blocked",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Substituted => "substituted",
        }
    }
}

/// A service, as its supervisor sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Which one.
    pub id: ServiceId,
    /// Its group.
    pub group: Option<String>,
    /// Where it stands.
    pub state: State,
    /// Why, in sentences: what it waits for, what failed, what was seen last.
    pub why: Vec<String>,
    /// The services that it waits for.
    pub blocked_on: Vec<ServiceId>,
    /// What stands in for it.
    pub substituted_by: Option<ServiceId>,
    /// Its process.
    pub pid: Option<u32>,
    /// Its port.
    pub port: Option<u16>,
    /// Since when it is in this state.
    pub since: Timestamp,
    /// When its present or last program was started.
    pub started_at: Option<Timestamp>,
    /// How long it took from that start until it was ready.
    #[serde(rename = "ready_after_ms", with = "fraction::option")]
    pub ready_after: Option<Duration>,
    /// How often it was started again.
    pub restarts: u32,
    /// How it ended last: `exit code 1`, `signal KILL`, `unknown`.
    pub last_end: Option<String>,
    /// What the last check said, and how long it took.
    pub last_check: Option<CheckStatus>,
    /// Memory of all its processes in bytes.
    pub memory_bytes: Option<u64>,
    /// Bytes of its output that were dropped.
    pub dropped_bytes: u64,
}

/// What a check said last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckStatus {
    /// Whether it was good.
    pub healthy: bool,
    /// What it found, in a sentence.
    pub detail: String,
    /// How long it took.
    #[serde(rename = "took_ms", with = "fraction")]
    pub took: Duration,
}

/// How a host is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// It is this one.
    Here,
    /// Its supervisor answers.
    Connected,
    /// It answered once; what is told is the last that was heard.
    Lost,
    /// It has not answered yet.
    Unknown,
}

/// A host and its services.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostStatus {
    /// Its name.
    pub host: String,
    /// How it is known.
    pub reach: Reach,
    /// Process of its supervisor.
    pub supervisor: Option<u32>,
    /// How old this is.
    #[serde(rename = "age_ms", with = "fraction")]
    pub age: Duration,
    /// Its services.
    pub services: Vec<ServiceStatus>,
}

/// The whole fleet, as one supervisor knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FleetStatus {
    /// Its name.
    pub fleet: String,
    /// When.
    pub at: Timestamp,
    /// The hosts; the asked one first.
    pub hosts: Vec<HostStatus>,
}

/// A change of one service's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Number of the change; rises by one on each host.
    pub number: u64,
    /// Which service.
    pub id: ServiceId,
    /// Where it stood.
    pub from: State,
    /// Where it stands.
    pub to: State,
    /// Why, in a sentence.
    pub why: String,
    /// Time since the supervisor started, by the machine's monotonic clock.
    #[serde(rename = "offset_ms", with = "fraction")]
    pub offset: Duration,
    /// When.
    pub at: Timestamp,
}

/// Serde form of a duration as milliseconds with a fraction, for fields named `…_ms` of what may take less than one. To
/// the nanosecond.
mod fraction {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    const NANOS: f64 = 1e6;

    fn of(duration: Duration) -> f64 {
        duration.as_nanos() as f64 / NANOS
    }

    fn from(millis: f64) -> Duration {
        // What is negative, too large or no number becomes the nearest that is a duration.
        Duration::from_nanos((millis * NANOS).round() as u64)
    }

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(of(*duration))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        f64::deserialize(deserializer).map(from)
    }

    /// The same of one that may be absent.
    pub(super) mod option {
        use super::{Deserialize, Deserializer, Duration, Serializer, from, of};

        pub(in super::super) fn serialize<S: Serializer>(
            duration: &Option<Duration>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match duration {
                Some(duration) => serializer.serialize_some(&of(*duration)),
                None => serializer.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Duration>, D::Error> {
            Ok(Option::<f64>::deserialize(deserializer)?.map(from))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_milliseconds_and_come_back_to_the_nanosecond() {
        let took = Duration::new(90_000, 310_001);
        let check = CheckStatus { healthy: true, detail: String::new(), took };
        let text = serde_json::to_string(&check).unwrap();
        assert_eq!(text, r#"{"healthy":true,"detail":"","took_ms":90000000.310001}"#);
        assert_eq!(serde_json::from_str::<CheckStatus>(&text).unwrap(), check);
    }
}
