//! How much may pass in a minute. Leaves out what is counted and what happens past the limit.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const MINUTE: Duration = Duration::from_secs(60);

/// An amount that is full again every minute.
#[derive(Debug)]
pub(crate) struct Window {
    limit: u64,
    used: Mutex<Used>,
}

#[derive(Debug)]
struct Used {
    since: Instant,
    amount: u64,
}

impl Window {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, used: Mutex::new(Used { since: Instant::now(), amount: 0 }) }
    }

    /// Takes an amount; whether there was as much left. What did not fit is not taken.
    pub(crate) fn take(&self, amount: u64) -> bool {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now.duration_since(used.since) >= MINUTE {
            *used = Used { since: now, amount: 0 };
        }
        let fits = amount <= self.limit.saturating_sub(used.amount);
        if fits {
            used.amount += amount;
        }
        fits
    }
}
