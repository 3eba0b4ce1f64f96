//! [`Rhythm`]: when a service is asked. Pure but for the random part of a wait.

use std::time::Duration;

use masque_fleet::model::Probe;
use rand::Rng as _;

/// First wait before a service is ready.
const FIRST: Duration = Duration::from_millis(5);
/// Longest wait before a service is ready.
const LONGEST: Duration = Duration::from_millis(250);

/// Where a service stands when it begins to be watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// It was just started: it is asked often until it is ready.
    Starting,
    /// It is ready: it is asked at its period.
    Ready,
}

/// The waits between checks.
#[derive(Debug)]
pub(super) struct Rhythm {
    period: Duration,
    successes: u32,
    /// The next wait, and the successes in a row, as long as it is not ready.
    starting: Option<(Duration, u32)>,
}

impl Rhythm {
    pub(super) fn new(probe: &Probe, begin: Begin) -> Self {
        let starting = (begin == Begin::Starting).then_some((FIRST, 0));
        Self { period: probe.period, successes: probe.successes, starting }
    }

    /// Takes note of a check.
    pub(super) fn checked(&mut self, good: bool) {
        if let Some((_, successes)) = &mut self.starting {
            *successes = if good { *successes + 1 } else { 0 };
            if *successes >= self.successes.max(1) {
                self.starting = None;
            }
        }
    }

    /// Whether the service is not known to be ready yet.
    pub(super) const fn is_starting(&self) -> bool {
        self.starting.is_some()
    }

    /// Asks often again: something has happened.
    pub(super) fn hurry(&mut self) {
        if let Some((wait, _)) = &mut self.starting {
            *wait = FIRST;
        }
    }

    /// How long to wait before the next check.
    pub(super) fn wait(&mut self) -> Duration {
        match &mut self.starting {
            Some((wait, _)) => {
                let now = *wait;
                *wait = (now * 2).min(LONGEST);
                // It need not be asked more often while it starts than later.
                now.min(self.period)
            }
            None => self.period.mul_f64(rand::rng().random_range(0.9..=1.1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use masque_fleet::model::{Check, Probe};

    use super::{Begin, Rhythm};

    #[test]
    fn a_starting_service_is_asked_often_and_a_ready_one_at_its_period() {
        let probe = Probe { successes: 2, ..Probe::new(Check::Tcp(String::new())) };
        let mut rhythm = Rhythm::new(&probe, Begin::Starting);
        let mut wait = || {
            rhythm.checked(false);
            rhythm.wait().as_millis()
        };
        assert_eq!([(); 8].map(|()| wait()), [5, 10, 20, 40, 80, 160, 250, 250]);
        rhythm.checked(true);
        assert_eq!(rhythm.wait(), Duration::from_millis(250));
        rhythm.checked(true);
        let steady = |rhythm: &mut Rhythm| (0..100).all(|_| (9_000..=11_000).contains(&rhythm.wait().as_millis()));
        assert!(steady(&mut rhythm));
        rhythm.checked(false);
        assert!(steady(&mut rhythm));
        assert!(steady(&mut Rhythm::new(&probe, Begin::Ready)));
    }
}
