//! [`View`]: what the machine knows of a service.

use std::time::Duration;

use masque_fleet::{
    model::ServiceId,
    status::{CheckStatus, State},
};

use super::End;

/// A service as the machine sees it. Times are since the supervisor's start.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Where it stands.
    pub state: State,
    /// Why, in sentences; the first is the most important one.
    pub why: Vec<String>,
    /// The services that it waits for.
    pub blocked_on: Vec<ServiceId>,
    /// What stands in for it.
    pub substituted_by: Option<ServiceId>,
    /// How often it was started again.
    pub restarts: u32,
    /// Since when it is in this state.
    pub since: Duration,
    /// Its present or last instance.
    pub instance: Option<u64>,
    /// Its first process.
    pub pid: Option<u32>,
    /// When its present or last program was started.
    pub started: Option<Duration>,
    /// How long it took from that start until it was ready.
    pub ready_after: Option<Duration>,
    /// How it ended last.
    pub last_end: Option<End>,
    /// What the last check said.
    pub last_check: Option<CheckStatus>,
}
