//! [`Restart`]: what happens when a service ends by itself; [`Stop`]: how it is ended.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a service that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// Never.
    Never,
    /// When it failed: another exit code than 0, a signal, liveness lost, not ready in time.
    OnFailure,
    /// Always, unless it was stopped on purpose.
    #[default]
    Always,
}

/// How long is waited before the next start: a random time between zero and `first * 2^n`, `max` at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Bound of the first wait.
    pub first: Duration,
    /// Bound of every wait.
    pub max: Duration,
    /// After this time of being ready, the next failure counts as the first again.
    pub stable_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), max: Duration::from_secs(30), stable_after: Duration::from_secs(60) }
    }
}

/// What happens when a service ends by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// When it is started again.
    pub policy: RestartPolicy,
    /// The wait before that.
    pub backoff: Backoff,
    /// Failures within `window` after which it is given up: failed, one alarm.
    pub limit: Option<u32>,
    /// The time that `limit` is counted in.
    pub window: Duration,
    /// After this time one more start is tried although it was given up. Absent: only a person starts it again.
    pub retry_after: Option<Duration>,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            policy: RestartPolicy::Always,
            backoff: Backoff::default(),
            limit: Some(10),
            window: Duration::from_secs(300),
            retry_after: Some(Duration::from_secs(600)),
        }
    }
}

/// How a service is ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The signal that asks it: `TERM`, `INT`, `QUIT`, `HUP`, `USR1`, `USR2`.
    pub signal: String,
    /// How long it may take; then everything of it is killed.
    pub grace: Duration,
}

impl Default for Stop {
    fn default() -> Self {
        Self { signal: "TERM".to_owned(), grace: Duration::from_secs(10) }
    }
}
