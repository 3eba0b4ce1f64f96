//! [`Service`]: one supervised program.

use std::{collections::BTreeMap, fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Dependency, Fallback, Limits, Logs, Probe, Program, Restart, Stop};

/// Which service: its host and its name. Written `host/name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceId {
    /// The host.
    pub host: String,
    /// The name, unique on that host.
    pub name: String,
}

impl ServiceId {
    /// The service of that name on that host.
    pub fn new(host: impl Into<String>, name: impl Into<String>) -> Self {
        Self { host: host.into(), name: name.into() }
    }

    /// The variable by which services that need this one are told where it is: `MASQUE_DEP_NAME`.
    #[must_use]
    pub fn variable(&self) -> String {
        let fit = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
        format!("MASQUE_DEP_{}", self.name.chars().map(fit).collect::<String>())
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.name)
    }
}

impl From<ServiceId> for String {
    fn from(id: ServiceId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for ServiceId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts = text.split_once('/').filter(|(host, name)| !host.is_empty() && !name.is_empty());
        let (host, name) = parts.ok_or_else(|| format!("`{text}` is no service: expected HOST/NAME"))?;
        Ok(Self::new(host, name))
    }
}

/// Whether a service is to run on, or to come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It runs until it is stopped.
    #[default]
    Service,
    /// It does something and ends; code 0 is success.
    Task,
}

/// When a service is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, Default)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// With the fleet.
    #[default]
    Always,
    /// When it has to stand in for another one.
    Standby,
}

/// One supervised program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Which one.
    pub id: ServiceId,
    /// Its group.
    pub group: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it is to run on, or to come to its end.
    pub kind: Kind,
    /// When it is started.
    pub start: Start,
    /// What it executes.
    pub program: Program,
    /// The address that it listens on; `0.0.0.0` for all of its host.
    pub listen: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// Further ports by name; `health` is the one that probes ask.
    pub ports: BTreeMap<String, u16>,
    /// What it needs.
    pub dependencies: Vec<Dependency>,
    /// When it is ready: absent, as soon as it was started.
    pub ready: Option<Probe>,
    /// How long it may take to become ready; then the start has failed.
    pub ready_within: Duration,
    /// Whether it still works: a service that fails it is restarted. Absent: as long as it runs.
    pub live: Option<Probe>,
    /// What happens when it ends by itself.
    pub restart: Restart,
    /// How it is ended.
    pub stop: Stop,
    /// What it may use.
    pub limits: Limits,
    /// What is kept of what it prints.
    pub logs: Logs,
    /// Whether the fleet cannot do without it: `up` fails when it fails and nothing stands in.
    pub required: bool,
    /// What stands in when it is missing or was given up, in this order.
    pub fallback: Vec<Fallback>,
    /// The signal that tells it that its dependencies changed; absent: it is told at its next start.
    pub reload_signal: Option<String>,
}

impl Service {
    /// The port that probes ask.
    #[must_use]
    pub fn health_port(&self) -> Option<u16> {
        self.ports.get("health").copied().or(self.port)
    }
}
