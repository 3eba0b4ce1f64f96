//! [`Backoff`]: how long to wait before a peer is dialled again. Pure but for the jitter.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Doubles from a tenth of a second to five seconds; each wait is a random one between half of it and all of it, so that
/// hosts that lost each other together do not dial together.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) const fn new() -> Self {
        Self(FIRST)
    }

    /// The next wait; `share` is a random number between 0 and 1.
    pub(super) fn next(&mut self, share: f64) -> Duration {
        let wait = self.0.mul_f64(0.5 + share.clamp(0.0, 1.0) / 2.0);
        self.0 = (self.0 * 2).min(LONGEST);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound() {
        let mut backoff = Backoff::new();
        let waits: Vec<u128> = (0..8).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(backoff.next(0.0).as_millis(), 2500);
    }
}
