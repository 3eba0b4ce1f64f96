//! [`Listeners`]: who waits for a line that matches, and who follows all lines.

use std::sync::Arc;

use regex::bytes::Regex;
use tokio::sync::{broadcast, oneshot};

use super::Line;

/// Lines that one who follows may be behind; then it misses some and is told so.
const BEHIND: usize = 1_024;

/// Who listens to one service.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    awaited: Vec<(Regex, oneshot::Sender<Line>)>,
    /// Made for the first who follows, and given up with the last.
    followed: Option<broadcast::Sender<Arc<Line>>>,
}

impl Listeners {
    /// The first line from now on that matches.
    pub(super) fn expect(&mut self, pattern: Regex) -> oneshot::Receiver<Line> {
        let (sender, receiver) = oneshot::channel();
        self.awaited.push((pattern, sender));
        receiver
    }

    /// All lines from now on.
    pub(super) fn follow(&mut self) -> broadcast::Receiver<Arc<Line>> {
        self.followed.get_or_insert_with(|| broadcast::channel(BEHIND).0).subscribe()
    }

    /// Whether nobody listens.
    pub(super) fn is_empty(&self) -> bool {
        self.awaited.is_empty() && self.followed.is_none()
    }

    /// Tells a line to those who wait for one like it.
    pub(super) fn compare(&mut self, line: &Line) {
        let mut waiting = Vec::new();
        for (pattern, sender) in self.awaited.drain(..) {
            if pattern.is_match(&line.bytes) {
                // Who gave up is not told.
                let _ = sender.send(line.clone());
            } else if !sender.is_closed() {
                waiting.push((pattern, sender));
            }
        }
        self.awaited = waiting;
    }

    /// Tells a line that is kept to those who follow.
    pub(super) fn tell(&mut self, line: Line) {
        if let Some(sender) = &self.followed
            && sender.send(Arc::new(line)).is_err()
        {
            self.followed = None;
        }
    }
}
