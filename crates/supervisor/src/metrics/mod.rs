//! What a supervisor tells a monitoring system: its services, its link and itself, in the text format of Prometheus.
//!
//! Owns the names of the metrics and the small server for them. A supervisor tells of its own services only: each host is
//! asked itself. Leaves out where the figures come from.

mod server;
mod text;
mod usage;

use std::{fmt, sync::Arc};

use masque_fleet::status::{HostStatus, Reach, ServiceStatus, State};
use masque_types::BoxFuture;

pub use server::Metrics;
pub use usage::Usage;

use crate::link::PeerStatus;
use text::{Kind, Text};

/// What is told at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The fleet's name.
    pub fleet: String,
    /// The services of this supervisor.
    pub host: HostStatus,
    /// The other supervisors that it is linked with.
    pub peers: Vec<PeerStatus>,
    /// What the supervisor itself uses.
    pub own: Usage,
}

/// Where snapshots come from; asked once for each request. None: the supervisor is ending.
#[derive(Clone)]
pub struct Source(Arc<dyn Fn() -> BoxFuture<'static, Option<Snapshot>> + Send + Sync>);

impl Source {
    /// Whatever that function tells.
    pub fn new(tell: impl Fn() -> BoxFuture<'static, Option<Snapshot>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    async fn tell(&self) -> Option<Snapshot> {
        (self.0)().await
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// The text of a snapshot, as Prometheus reads it (text format 0.0.4).
#[must_use]
pub fn exposition(snapshot: &Snapshot) -> String {
    let mut text = Text::default();
    let info = [("fleet", snapshot.fleet.as_str()), ("host", &snapshot.host.host), ("version", VERSION)];
    text.family("masque_fleet_supervisor_info", Kind::Gauge, "The supervisor that tells this; always 1.");
    text.sample(&info, 1.0);
    services(&mut text, &snapshot.host.services);
    supervisor(&mut text, &snapshot.own);
    link(&mut text, &snapshot.peers);
    text.finish()
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A metric of services: name, kind, help, and its value where a service has one.
type OfService = (&'static str, Kind, &'static str, fn(&ServiceStatus) -> Option<f64>);

const OF_SERVICES: [OfService; 10] = [
    ("masque_fleet_service_up", Kind::Gauge, "Whether others can use the service.", |service| {
        Some(truth(service.state.is_usable()))
    }),
    (
        "masque_fleet_service_since_timestamp_seconds",
        Kind::Gauge,
        "Since when the service is in its state.",
        |service| Some(seconds_of(service.since.0)),
    ),
    (
        "masque_fleet_service_start_timestamp_seconds",
        Kind::Gauge,
        "When the service's program was started last.",
        |service| service.started_at.map(|at| seconds_of(at.0)),
    ),
    ("masque_fleet_service_restarts_total", Kind::Counter, "How often the service was started again.", |service| {
        Some(f64::from(service.restarts))
    }),
    (
        "masque_fleet_service_ready_seconds",
        Kind::Gauge,
        "How long the service took from its last start until it was ready.",
        |service| service.ready_after.map(|after| after.as_secs_f64()),
    ),
    ("masque_fleet_service_check_healthy", Kind::Gauge, "Whether the last check was good.", |service| {
        service.last_check.as_ref().map(|check| truth(check.healthy))
    }),
    ("masque_fleet_service_check_duration_seconds", Kind::Gauge, "How long the last check took.", |service| {
        service.last_check.as_ref().map(|check| check.took.as_secs_f64())
    }),
    ("masque_fleet_service_memory_bytes", Kind::Gauge, "Memory of all processes of the service.", |service| {
        service.memory_bytes.map(whole)
    }),
    (
        "masque_fleet_service_dropped_log_bytes_total",
        Kind::Counter,
        "Bytes that the service printed and that were not kept.",
        |service| Some(whole(service.dropped_bytes)),
    ),
    ("masque_fleet_service_blocked_on", Kind::Gauge, "How many services this one waits for.", |service| {
        Some(whole(service.blocked_on.len() as u64))
    }),
];

fn services(text: &mut Text, services: &[ServiceStatus]) {
    text.family("masque_fleet_service_state", Kind::Gauge, "1 for the state that the service is in, 0 for the others.");
    for service in services {
        for state in State::ALL {
            let labels = labels(service).into_iter().chain([("state", state.word())]);
            text.sample(&labels.collect::<Vec<_>>(), truth(service.state == state));
        }
    }
    for (name, kind, help, value) in OF_SERVICES {
        text.family(name, kind, help);
        for service in services {
            if let Some(value) = value(service) {
                text.sample(&labels(service), value);
            }
        }
    }
}

fn labels(service: &ServiceStatus) -> [(&'static str, &str); 3] {
    let group = service.group.as_deref().unwrap_or_default();
    [("host", &service.id.host), ("group", group), ("service", &service.id.name)]
}

fn supervisor(text: &mut Text, own: &Usage) {
    text.family("masque_fleet_supervisor_memory_bytes", Kind::Gauge, "Memory of the supervisor itself.");
    text.sample(&[], whole(own.memory_bytes));
    text.family("masque_fleet_supervisor_cpu_seconds_total", Kind::Counter, "Processor time of the supervisor itself.");
    text.sample(&[], own.cpu.as_secs_f64());
}

fn link(text: &mut Text, peers: &[PeerStatus]) {
    text.family("masque_fleet_link_up", Kind::Gauge, "Whether the other supervisor answers.");
    for peer in peers {
        text.sample(&[("host", &peer.host), ("peer", &peer.name)], truth(peer.reach == Reach::Connected));
    }
    text.family("masque_fleet_link_heard_seconds", Kind::Gauge, "How long ago the other supervisor was heard last.");
    for peer in peers {
        if let Some(heard) = peer.heard {
            text.sample(&[("host", &peer.host), ("peer", &peer.name)], heard.as_secs_f64());
        }
    }
}

fn truth(is_so: bool) -> f64 {
    if is_so { 1.0 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "the format has floating point numbers only")]
fn whole(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact for some ten thousand years")]
fn seconds_of(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}
