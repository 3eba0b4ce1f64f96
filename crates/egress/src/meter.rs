//! Counting a connection's bytes, and the limit of bytes out.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Quota, Refusal, context::Context, counters::add};

/// The bytes of one connection.
pub(crate) struct Meter<'a> {
    context: &'a Context,
    sent: AtomicU64,
    received: AtomicU64,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(context: &'a Context) -> Self {
        Self { context, sent: AtomicU64::new(0), received: AtomicU64::new(0) }
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

    /// Bytes to and from the host.
    pub(crate) fn read(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.received.load(Ordering::Relaxed))
    }
}
