//! [`Feed`]: what one service prints, for a client: the last lines, and those to come.

use std::{path::PathBuf, pin::Pin, sync::Arc};

use futures::{Stream, StreamExt as _, stream};
use masque_fleet::model::ServiceId;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::message::{Answer, LogLine};
use crate::{
    Error,
    logs::{Capture, Line, read_tail},
};

/// The lines to come of one service.
type ToCome = Receiver<Arc<Line>>;

/// What one service prints.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    pub(crate) id: ServiceId,
    /// Reads it; absent when it was never started by this supervisor.
    pub(crate) capture: Option<Arc<Capture>>,
    /// Directory of log files.
    pub(crate) logs: PathBuf,
}

/// The lines of several services that were printed, by time, and those to come.
pub(super) struct Lines {
    pub(super) printed: Vec<LogLine>,
    pub(super) to_come: Pin<Box<dyn Stream<Item = Answer> + Send>>,
}

impl Feed {
    /// The last lines. Blocks for some milliseconds.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn tail(&self, lines: usize) -> Result<Vec<LogLine>, Error> {
        let printed = match &self.capture {
            Some(capture) => capture.tail(lines)?,
            None => read_tail(&self.logs, &self.id.name, lines)?,
        };
        Ok(printed.iter().map(|line| self.line(line)).collect())
    }

    /// The last lines, and those to come: none is missing between them, none double. Blocks for some milliseconds.
    fn follow(&self, lines: usize) -> Result<(Vec<LogLine>, Option<ToCome>), Error> {
        match &self.capture {
            Some(capture) => {
                let (printed, to_come) = capture.follow(lines)?;
                Ok((printed.iter().map(|line| self.line(line)).collect(), Some(to_come)))
            }
            None => Ok((self.tail(lines)?, None)),
        }
    }

    fn line(&self, line: &Line) -> LogLine {
        LogLine { id: self.id.clone(), at: line.at, text: line.text() }
    }
}

impl Lines {
    /// Those of all feeds together.
    pub(super) async fn of(feeds: Vec<Feed>, lines: usize, follow: bool) -> Result<Self, Error> {
        let read = move || {
            let (mut printed, mut to_come) = (Vec::new(), Vec::new());
            for feed in feeds {
                if follow {
                    let (lines, receiver) = feed.follow(lines)?;
                    printed.extend(lines);
                    to_come.extend(receiver.map(|receiver| stream_of(feed.clone(), receiver)));
                } else {
                    printed.extend(feed.tail(lines)?);
                }
            }
            printed.sort_by_key(|line: &LogLine| line.at);
            Ok(Self { printed, to_come: stream::select_all(to_come).boxed() })
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| Error::Gone)?
    }
}

fn stream_of(feed: Feed, receiver: ToCome) -> Pin<Box<dyn Stream<Item = Answer> + Send>> {
    let next = |(feed, mut receiver): (Feed, ToCome)| async {
        let answer = match receiver.recv().await {
            Ok(line) => Answer::Line(feed.line(&line)),
            Err(RecvError::Lagged(missed)) => Answer::Missed(missed),
            Err(RecvError::Closed) => return None,
        };
        Some((answer, (feed, receiver)))
    };
    stream::unfold((feed, receiver), next).boxed()
}
