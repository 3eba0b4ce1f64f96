//! [`Failures`]: how often a service failed, and what follows: how long is waited, or that it is given up.

use std::{collections::VecDeque, time::Duration};

use masque_fleet::model::Restart;
use rand::{Rng, SeedableRng, rngs::StdRng};

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is started again after this time.
    Again(Duration),
    /// It failed too often.
    GiveUp,
}

/// The failures of one service.
#[derive(Debug)]
pub(super) struct Failures {
    /// When it failed, within the window of its start limit.
    times: VecDeque<Duration>,
    /// Failures since it was last ready for long.
    attempts: u32,
    random: StdRng,
}

impl Failures {
    pub(super) fn new(seed: u64) -> Self {
        Self { times: VecDeque::new(), attempts: 0, random: StdRng::seed_from_u64(seed) }
    }

    /// Notes a failure at `now` of an instance that was ready for `ready_for`.
    pub(super) fn note(&mut self, now: Duration, restart: &Restart, ready_for: Option<Duration>) -> Verdict {
        if ready_for.is_some_and(|time| time >= restart.backoff.stable_after) {
            self.attempts = 0;
        }
        let wait = self.wait(restart);
        self.attempts = self.attempts.saturating_add(1);
        self.times.push_back(now);
        while self.times.front().is_some_and(|time| now.saturating_sub(*time) > restart.window) {
            self.times.pop_front();
        }
        match restart.limit {
            Some(limit) if self.times.len() >= limit.max(1) as usize => Verdict::GiveUp,
            // Without a limit nothing needs the times, and they must not pile up.
            None => {
                self.times.truncate(1);
                Verdict::Again(wait)
            }
            Some(_) => Verdict::Again(wait),
        }
    }

    /// A random time between zero and the bound, so that services that failed together do not start together.
    fn wait(&mut self, restart: &Restart) -> Duration {
        let factor = 1_u32.checked_shl(self.attempts.min(31)).unwrap_or(u32::MAX);
        let bound = restart.backoff.first.saturating_mul(factor).min(restart.backoff.max);
        bound.mul_f64(self.random.random_range(0.0..=1.0))
    }

    /// Forgets all: it became well again, or a person began anew.
    pub(super) fn forget(&mut self) {
        self.times.clear();
        self.attempts = 0;
    }

    /// How many count towards the start limit.
    pub(super) fn count(&self) -> usize {
        self.times.len()
    }
}
