//! [`Lease`]: until when what a peer said is good. Pure: the time is passed in.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Questions of one connection, and until when their answers are good.
#[derive(Debug)]
pub(super) struct Lease {
    length: Duration,
    until: Instant,
    asked: VecDeque<(u64, Instant)>,
    number: u64,
}

/// Questions without an answer that are remembered: more than are asked in the longest lease that makes sense.
const REMEMBERED: usize = 64;

impl Lease {
    /// A lease from the moment on when the connection was begun.
    pub(super) fn new(length: Duration, begun: Instant) -> Self {
        Self { length, until: begun + length, asked: VecDeque::new(), number: 0 }
    }

    /// The number of a question that is asked now.
    pub(super) fn ask(&mut self, now: Instant) -> u64 {
        self.number += 1;
        self.asked.push_back((self.number, now));
        if self.asked.len() > REMEMBERED {
            self.asked.pop_front();
        }
        self.number
    }

    /// Something was said by one who had heard that question. False where that question was never asked.
    pub(super) fn answered(&mut self, number: u64) -> bool {
        while let Some((asked, at)) = self.asked.front().copied().filter(|(asked, _)| *asked <= number) {
            self.asked.pop_front();
            if asked == number {
                self.until = self.until.max(at + self.length);
            }
        }
        number <= self.number
    }

    /// Until when what it said is good.
    pub(super) const fn until(&self) -> Instant {
        self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_good_from_its_question_on() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut lease = Lease::new(5 * second, start);
        let (first, next) = (lease.ask(start + second), lease.ask(start + 2 * second));
        assert!(lease.answered(0), "said before any question: nothing is renewed");
        assert_eq!(lease.until(), start + 5 * second);
        assert!(lease.answered(first));
        assert_eq!(lease.until(), start + 6 * second);
        assert!(lease.answered(first), "whatever is said again renews nothing");
        assert_eq!(lease.until(), start + 6 * second);
        assert!(lease.answered(next));
        assert_eq!(lease.until(), start + 7 * second);
        assert!(!lease.answered(next + 1), "an answer to what was never asked");
        assert_eq!(lease.until(), start + 7 * second);
    }

    #[test]
    fn an_old_backlog_renews_only_to_its_own_time() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut lease = Lease::new(5 * second, start);
        for past in 0..200_u32 {
            lease.ask(start + past * second);
        }
        assert!(lease.answered(3), "forgotten, and too old anyway");
        assert_eq!(lease.until(), start + 5 * second);
        assert!(lease.answered(200));
        assert_eq!(lease.until(), start + 204 * second);
    }
}
