//! How many attempts are taken: per persona and altogether, by the minute.

use std::{collections::BTreeMap, time::Duration};

use masque_types::time::Timestamp;

const WINDOW: Duration = Duration::from_secs(60);

/// Bounds of a responder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Attempts per persona and minute.
    pub per_persona: u32,
    /// Attempts per minute altogether.
    pub altogether: u32,
    /// Challenges that wait for an answer at once.
    pub open_challenges: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_persona: 60, altogether: 6_000, open_challenges: 4_096 }
    }
}

/// The attempts of the current minute.
#[derive(Debug, Clone, Default)]
pub(super) struct Attempts {
    since: Timestamp,
    altogether: u32,
    by_persona: BTreeMap<String, u32>,
}

impl Attempts {
    /// Counts an attempt; whether it is within the limits.
    pub(super) fn count(&mut self, persona: &str, limits: &Limits, now: Timestamp) -> bool {
        // A clock that went back begins a new minute as well.
        if now < self.since || now.since(self.since) >= WINDOW {
            *self = Self { since: now, ..Self::default() };
        }
        self.altogether = self.altogether.saturating_add(1);
        if self.altogether > limits.altogether {
            return false;
        }
        let own = self.by_persona.entry(persona.to_owned()).or_default();
        *own = own.saturating_add(1);
        *own <= limits.per_persona
    }
}
