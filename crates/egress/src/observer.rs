//! Telling the owner what happened, without letting a sandbox flood the audit log.

use std::sync::{Arc, atomic::AtomicBool, atomic::Ordering};

use crate::{Event, Refusal, quota::Window};

/// So many refusals are told in a minute; the counters have all.
pub(crate) const REFUSALS_PER_MINUTE: u64 = 200;

/// Hands events to whoever listens.
pub(crate) struct Observer {
    observe: Arc<dyn Fn(Event) + Send + Sync>,
    refusals: Window,
    told_of_queries: AtomicBool,
}

impl Observer {
    pub(crate) fn new(observe: Arc<dyn Fn(Event) + Send + Sync>) -> Self {
        Self { observe, refusals: Window::new(REFUSALS_PER_MINUTE), told_of_queries: AtomicBool::new(false) }
    }

    pub(crate) fn tell(&self, event: Event) {
        (self.observe)(event);
    }

    /// Tells of a refusal, as long as there are not too many.
    pub(crate) fn refuse(&self, what: String, why: Refusal) {
        if self.refusals.take(1) {
            self.tell(Event::Refused { what, why });
        }
    }

    /// Tells that there are too many DNS queries: once until there were few again, and whatever else was refused before.
    pub(crate) fn refuse_queries(&self, what: String, why: Refusal) {
        if !self.told_of_queries.swap(true, Ordering::Relaxed) {
            self.tell(Event::Refused { what, why });
        }
    }

    /// A query was within its limit.
    pub(crate) fn query_passed(&self) {
        self.told_of_queries.store(false, Ordering::Relaxed);
    }
}
