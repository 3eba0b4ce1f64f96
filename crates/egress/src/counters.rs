//! What a broker did, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers since the broker started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections that were refused before they were open.
    pub refused_connections: u64,
    /// DNS queries.
    pub dns_queries: u64,
    /// DNS queries that got no address although they asked for one, and malformed ones.
    pub refused_queries: u64,
    /// Packets that were neither TCP nor DNS, and dropped.
    pub dropped_packets: u64,
    /// Bytes to hosts.
    pub bytes_out: u64,
    /// Bytes from hosts.
    pub bytes_in: u64,
}

/// The numbers while they change.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    pub(crate) connections: AtomicU64,
    pub(crate) refused_connections: AtomicU64,
    pub(crate) dns_queries: AtomicU64,
    pub(crate) refused_queries: AtomicU64,
    pub(crate) dropped_packets: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
}

impl Counting {
    pub(crate) fn read(&self) -> Counters {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Counters {
            connections: read(&self.connections),
            refused_connections: read(&self.refused_connections),
            dns_queries: read(&self.dns_queries),
            refused_queries: read(&self.refused_queries),
            dropped_packets: read(&self.dropped_packets),
            bytes_out: read(&self.bytes_out),
            bytes_in: read(&self.bytes_in),
        }
    }
}

pub(crate) fn add(number: &AtomicU64, amount: u64) {
    number.fetch_add(amount, Ordering::Relaxed);
}
