//! [`Budget`]: how much of what a service prints is kept each second. Pure; time is passed in.

use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// What was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Dropped {
    pub(super) lines: u64,
    pub(super) bytes: u64,
}

impl Dropped {
    pub(super) fn add(&mut self, bytes: usize) {
        self.lines += 1;
        self.bytes += bytes as u64;
    }

    pub(super) const fn is_none(self) -> bool {
        self.lines == 0 && self.bytes == 0
    }
}

/// The present second.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: Option<u64>,
    begun: Duration,
    used: u64,
    dropped: Dropped,
}

impl Budget {
    /// So many bytes each second; without bound when absent.
    pub(super) fn new(bytes: Option<u64>) -> Self {
        Self { bytes, begun: Duration::ZERO, used: 0, dropped: Dropped::default() }
    }

    /// From now on so many bytes each second.
    pub(super) const fn allow(&mut self, bytes: Option<u64>) {
        self.bytes = bytes;
    }

    /// What was dropped in a second that is over, once.
    pub(super) fn turn(&mut self, now: Duration) -> Option<Dropped> {
        if now.saturating_sub(self.begun) < SECOND {
            return None;
        }
        self.begun = now;
        self.used = 0;
        Some(std::mem::take(&mut self.dropped)).filter(|dropped| !dropped.is_none())
    }

    /// Whether a line is kept.
    pub(super) fn admit(&mut self, bytes: usize) -> bool {
        let after = self.used.saturating_add(bytes as u64);
        // The first line of a second is always kept, so that something is seen however small the budget is.
        if self.bytes.is_some_and(|most| after > most) && self.used > 0 {
            self.dropped.add(bytes);
            return false;
        }
        self.used = after;
        true
    }

    /// When what was dropped can be told.
    pub(super) fn told_at(&self) -> Option<Duration> {
        (!self.dropped.is_none()).then(|| self.begun + SECOND)
    }

    /// What was dropped until now, for a line at the end.
    pub(super) fn take(&mut self) -> Option<Dropped> {
        Some(std::mem::take(&mut self.dropped)).filter(|dropped| !dropped.is_none())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Budget, Dropped};

    #[test]
    fn what_is_above_the_budget_of_a_second_is_dropped_and_told_once() {
        let mut budget = Budget::new(Some(10));
        assert!(budget.admit(20), "the first");
        assert!(!budget.admit(1) && !budget.admit(2));
        assert_eq!((budget.told_at(), budget.turn(Duration::from_millis(999))), (Some(Duration::from_secs(1)), None));
        assert_eq!(budget.turn(Duration::from_millis(1_000)), Some(Dropped { lines: 2, bytes: 3 }));
        assert_eq!((budget.told_at(), budget.turn(Duration::from_secs(9))), (None, None));
        assert!(budget.admit(4) && budget.admit(6) && !budget.admit(1));
        assert_eq!((budget.take(), budget.take()), (Some(Dropped { lines: 1, bytes: 1 }), None));
        budget.allow(Some(30));
        assert!(budget.admit(20) && !budget.admit(1));
        let mut free = Budget::new(None);
        assert!((0..100).all(|_| free.admit(1 << 20)));
    }
}
