//! Counting a connection's bytes, the limit of bytes out, and telling both when the connection has ended.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Event, Quota, Refusal, context::Context, counters::add, serve::Destination};

/// The bytes of one connection. However it ends, that is told when this is dropped.
pub(crate) struct Meter<'a> {
    context: &'a Context,
    destination: &'a Destination,
    sent: AtomicU64,
    received: AtomicU64,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(context: &'a Context, destination: &'a Destination) -> Self {
        Self { context, destination, sent: AtomicU64::new(0), received: AtomicU64::new(0) }
    }

    /// Asks to send bytes to the host.
    pub(crate) fn out(&self, length: usize) -> Result<(), Refusal> {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        if !self.context.bytes_out.take(length) {
            return Err(Refusal::Quota(Quota::BytesOut));
        }
        add(&self.sent, length);
        add(&self.context.counting.bytes_out, length);
        Ok(())
    }

    /// Bytes came from the host.
    pub(crate) fn came(&self, length: usize) {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        add(&self.received, length);
        add(&self.context.counting.bytes_in, length);
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        let (sent, received) = (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed));
        if sent > 0 || received > 0 {
            let (host, port) = (self.destination.host.text(), self.destination.port);
            self.context.observer.tell(Event::Closed { host, port, sent, received });
        }
    }
}
