//! [`Hooks`]: what must be there before a program starts, so that it can say itself that it is ready.

use std::{
    io,
    path::{Path, PathBuf},
};

use masque_fleet::model::{Check, Service};
use masque_types::time::Timestamp;
use regex::bytes::Regex;
use tokio::sync::oneshot;

use super::{NotifySocket, descriptor::Descriptor, file::Marker};
use crate::{
    Error,
    logs::{Capture, Line},
    machine::Which,
    process::Additions,
};

/// Lines of a running service among which one that matches is looked for.
const LINES: usize = 100_000;
/// The descriptor that a service gets to say that it is ready.
const NUMBER: u32 = 3;

/// A way in which a service says something itself.
#[derive(Debug)]
pub(super) enum Source {
    Descriptor(Descriptor),
    Marker(Marker),
    Log(oneshot::Receiver<Line>),
    /// The line was printed before.
    Printed,
}

/// The ways in which one start can say that it is ready.
#[derive(Debug, Default)]
pub struct Hooks {
    additions: Additions,
    notices: Option<NotifySocket>,
    ready: Option<Source>,
    live: Option<Source>,
}

/// Whose hooks.
#[derive(Debug, Clone, Copy)]
enum Whose<'a> {
    /// Of a program that is about to be started.
    New,
    /// Of one that runs, since then.
    Running(&'a Timestamp),
}

impl Hooks {
    /// Makes what a start needs. `directory` is for named pipes. Must be called within a runtime, before the start.
    ///
    /// # Errors
    /// When a socket, a pipe or a watch cannot be made, or a pattern is no regular expression.
    pub fn prepare(service: &Service, cookie: &str, directory: &Path, capture: &Capture) -> Result<Self, Error> {
        Self::make(service, cookie, directory, capture, Whose::New)
    }

    /// Makes the same again for a program that an earlier supervisor started at that time.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn resume(
        service: &Service,
        cookie: &str,
        directory: &Path,
        capture: &Capture,
        started_at: Timestamp,
    ) -> Result<Self, Error> {
        Self::make(service, cookie, directory, capture, Whose::Running(&started_at))
    }

    fn make(
        service: &Service,
        cookie: &str,
        directory: &Path,
        capture: &Capture,
        whose: Whose<'_>,
    ) -> Result<Self, Error> {
        let mut hooks = Self::default();
        for (which, probe) in [(Which::Ready, &service.ready), (Which::Live, &service.live)] {
            let source = match probe.as_ref().map(|probe| &probe.check) {
                Some(Check::Notify) => {
                    hooks.listen(cookie)?;
                    None
                }
                Some(Check::Descriptor) => Some(hooks.descriptor(&pipe_of(service, directory), whose)?),
                Some(Check::File(path)) => {
                    let path = service.program.directory.join(path);
                    let marker = match whose {
                        Whose::New => Marker::before_start(path),
                        Whose::Running(started_at) => Marker::of_running(path, *started_at),
                    };
                    Some(Source::Marker(marker?))
                }
                Some(Check::Log(pattern)) => Some(line_like(pattern, capture, whose)?),
                _ => None,
            };
            match which {
                Which::Ready => hooks.ready = source,
                Which::Live => hooks.live = source,
            }
        }
        Ok(hooks)
    }

    fn listen(&mut self, cookie: &str) -> io::Result<()> {
        if self.notices.is_none() {
            let socket = NotifySocket::bind(cookie)?;
            self.additions.environment.insert("NOTIFY_SOCKET".to_owned(), socket.address());
            self.notices = Some(socket);
        }
        Ok(())
    }

    fn descriptor(&mut self, path: &Path, whose: Whose<'_>) -> io::Result<Source> {
        let descriptor = match whose {
            Whose::Running(_) => Descriptor::open(path)?,
            Whose::New => {
                let (descriptor, end) = Descriptor::make(path)?;
                self.additions.environment.insert("READY_FD".to_owned(), NUMBER.to_string());
                self.additions.descriptors = vec![(end, NUMBER)];
                descriptor
            }
        };
        Ok(Source::Descriptor(descriptor))
    }

    /// What the program gets; to be taken for its start, once.
    pub fn take_additions(&mut self) -> Additions {
        std::mem::take(&mut self.additions)
    }

    /// Where it speaks, when one of its probes is that; once.
    pub fn take_notices(&mut self) -> Option<NotifySocket> {
        self.notices.take()
    }

    pub(super) fn take_source(&mut self, which: Which) -> Option<Source> {
        match which {
            Which::Ready => self.ready.take(),
            Which::Live => self.live.take(),
        }
    }
}

fn pipe_of(service: &Service, directory: &Path) -> PathBuf {
    directory.join(format!("{}.ready", crate::logs::file_name(&service.id.name)))
}

fn line_like(pattern: &str, capture: &Capture, whose: Whose<'_>) -> Result<Source, Error> {
    let pattern = Regex::new(pattern).map_err(|error| Error::Refused(format!("`{pattern}`: {error}")))?;
    let expected = capture.expect(pattern.clone());
    if let Whose::Running(started_at) = whose
        && capture.since(*started_at, LINES)?.iter().any(|line| pattern.is_match(&line.bytes))
    {
        return Ok(Source::Printed);
    }
    Ok(Source::Log(expected))
}
