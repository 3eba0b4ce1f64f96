//! [`Probe`]: how the health of a service is seen.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Command;

/// One check of a service, its rhythm, and how often it must agree before it counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// What is checked.
    pub check: Check,
    /// Time between two checks once the service is ready, give or take a tenth. Before that a polled check is made
    /// after 5 ms, and then after twice the time before, 250 ms at most.
    pub period: Duration,
    /// How long one check may take.
    pub timeout: Duration,
    /// Failures in a row that make a healthy service unhealthy.
    pub failures: u32,
    /// Successes in a row that make an unhealthy service healthy.
    pub successes: u32,
}

impl Probe {
    /// A check in the usual rhythm: every 10 seconds, 2 seconds long, three failures count, one success does.
    #[must_use]
    pub fn new(check: Check) -> Self {
        Self { check, period: Duration::from_secs(10), timeout: Duration::from_secs(2), failures: 3, successes: 1 }
    }
}

/// What is checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// A command ends with 0. It runs in the surroundings of the service.
    Exec(Command),
    /// A connection is accepted at `address:port`.
    Tcp(String),
    /// A request is answered.
    Http(Http),
    /// The standard gRPC health service says SERVING.
    Grpc {
        /// `address:port`.
        address: String,
        /// Name of the service to ask about; empty for the whole server.
        service: String,
    },
    /// A JSON request over a ZeroMQ REQ socket is answered as expected.
    Zmq {
        /// `address:port`.
        address: String,
        /// What is sent.
        request: Value,
        /// What must hold for the reply.
        expect: Vec<Expectation>,
    },
    /// The service says `READY=1` on the socket named by `NOTIFY_SOCKET`.
    Notify,
    /// The service writes a byte, or closes, the descriptor whose number is in `READY_FD`.
    Descriptor,
    /// A file exists that was made or changed since the start. A relative path begins at the service's directory.
    File(PathBuf),
    /// A line that the service prints matches this regular expression.
    Log(String),
}

impl Check {
    /// Whether the service itself says it, so that nothing is polled.
    #[must_use]
    pub const fn is_pushed(&self) -> bool {
        matches!(self, Self::Notify | Self::Descriptor | Self::File(_) | Self::Log(_))
    }

    /// Where it asks, `address:port`, when it asks over the network.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        match self {
            Self::Tcp(address) | Self::Grpc { address, .. } | Self::Zmq { address, .. } => Some(address),
            Self::Http(http) => Some(&http.address),
            Self::Exec(_) | Self::Notify | Self::Descriptor | Self::File(_) | Self::Log(_) => None,
        }
    }

    /// The same check at another address, when it asks over the network.
    #[must_use]
    pub fn at(mut self, place: String) -> Self {
        match &mut self {
            Self::Tcp(address) | Self::Grpc { address, .. } | Self::Zmq { address, .. } => *address = place,
            Self::Http(http) => http.address = place,
            Self::Exec(_) | Self::Notify | Self::Descriptor | Self::File(_) | Self::Log(_) => {}
        }
        self
    }
}

/// An HTTP request and what counts as a good answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Http {
    /// `address:port`.
    pub address: String,
    /// Path with query.
    pub path: String,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    /// Good status codes, from and to; 200 to 399 usually.
    pub status: (u16, u16),
}

impl Http {
    /// The status codes that are good unless something else is said.
    pub const USUAL: (u16, u16) = (200, 399);

    /// Whether the usual status codes are good.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        self.status == Self::USUAL
    }
}

/// What must hold for a value in a JSON reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    /// Names from the root, separated by dots: `status`, `health.state`.
    pub path: String,
    /// Values that are good; empty: every one that does not mean degraded.
    pub healthy: Vec<Value>,
    /// Values that mean degraded: it answers, but not well.
    pub degraded: Vec<Value>,
    /// Whether a reply without this value is good.
    pub optional: bool,
}
