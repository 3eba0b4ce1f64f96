//! When the next backup is due.

use std::time::Duration;

use masque_types::time::Timestamp;

/// How often homes are backed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The time between two backups; zero means never.
    pub every: Duration,
}

/// Whether a backup is due, by the time of the newest version. A clock that went back does not stop backups.
#[must_use]
pub fn backup_due(schedule: &Schedule, newest: Option<Timestamp>, now: Timestamp) -> bool {
    if schedule.every.is_zero() {
        return false;
    }
    newest.is_none_or(|newest| newest > now || now.since(newest) >= schedule.every)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_after_the_interval_at_first_and_when_the_clock_went_back() {
        let hourly = Schedule { every: Duration::from_secs(3600) };
        let now = Timestamp(10_000_000);
        assert!(backup_due(&hourly, None, now));
        assert!(!backup_due(&hourly, Some(now), now));
        assert!(!backup_due(&hourly, Some(Timestamp(10_000_000 - 3_599_999)), now));
        assert!(backup_due(&hourly, Some(Timestamp(10_000_000 - 3_600_000)), now));
        assert!(backup_due(&hourly, Some(Timestamp(20_000_000)), now));
        assert!(!backup_due(&Schedule { every: Duration::ZERO }, None, now));
    }
}
