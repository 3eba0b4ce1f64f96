//! [`LogFile`]: the open file of one service. A full disk costs lines, which are counted, never more.

use std::{
    fs::File,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    sync::Arc,
};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use masque_fleet::model::Logs;

use super::{budget::Dropped, closed::Closed, line};

/// The open file.
#[derive(Debug)]
pub(super) struct LogFile {
    closed: Arc<Closed>,
    rules: Logs,
    file: Option<File>,
    length: u64,
    /// Number of the next file that is closed.
    next: u64,
    /// Whether what was written last has no end of line.
    is_cut: bool,
    lost: Dropped,
    why: Option<io::Error>,
}

/// What became of lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Bytes that did not find room.
    pub(super) lost_bytes: u64,
    /// Whether a file was closed, so that there is something to tidy.
    pub(super) has_closed: bool,
}

impl LogFile {
    /// Opens the file, and makes it where it is missing.
    pub(super) fn open(closed: Arc<Closed>, rules: Logs) -> io::Result<Self> {
        let next = closed.list()?.keys().next_back().map_or(1, |last| last + 1);
        let (lost, why) = (Dropped::default(), None);
        let mut file = Self { closed, rules, file: None, length: 0, next, is_cut: false, lost, why };
        file.reopen()?;
        Ok(file)
    }

    fn reopen(&mut self) -> io::Result<()> {
        let path = self.closed.open_file();
        let mut options = fs_err::OpenOptions::new();
        // What services print may be secret.
        options.append(true).create(true).mode(0o640);
        let file = options.open(path)?;
        self.length = file.metadata()?.len();
        self.file = Some(file.into_parts().0);
        Ok(())
    }

    /// What is kept.
    pub(super) const fn rules(&self) -> &Logs {
        &self.rules
    }

    /// Keeps so much from now on.
    pub(super) fn keep(&mut self, rules: Logs) {
        self.rules = rules;
    }

    /// Writes what was lost, once there is room for that again; the text that it wrote.
    pub(super) fn tell_lost(&mut self, stamp: &str) -> Option<String> {
        let (lost, why) = (self.lost, self.why.as_ref()?);
        let text = format!("masque: {} lines ({} bytes) were lost: {why}", lost.lines, lost.bytes);
        let mut whole = Vec::new();
        line::write(&mut whole, stamp, text.as_bytes());
        self.write(&whole).ok()?;
        self.lost = Dropped::default();
        self.why = None;
        Some(text)
    }

    /// Whether something was lost that is not told yet.
    pub(super) fn has_lost(&self) -> bool {
        self.why.is_some()
    }

    /// Appends whole lines, to a new file when they would make this one too large.
    pub(super) fn append(&mut self, lines: &[u8]) -> Written {
        let mut written = Written::default();
        if self.length > 0 && self.length + lines.len() as u64 > self.rules.rotate_bytes {
            match self.rotate() {
                Ok(()) => written.has_closed = true,
                // Better a file that is too large than none.
                Err(error) => tracing::warn!("a log file cannot be closed: {error}"),
            }
        }
        if let Err((rest, error)) = self.write(lines) {
            written.lost_bytes = rest.len() as u64;
            self.lost.bytes += written.lost_bytes;
            self.lost.lines += rest.iter().filter(|byte| **byte == b'\n').count() as u64;
            self.why = Some(error);
        }
        written
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.closed.close_open_file(self.next)?;
        self.next += 1;
        self.is_cut = false;
        self.length = 0;
        self.file = None;
        self.reopen()
    }

    /// Writes lines; on failure the rest that is not written.
    fn write<'a>(&mut self, lines: &'a [u8]) -> Result<(), (&'a [u8], io::Error)> {
        let is_gone = |file: &File| file.metadata().is_ok_and(|status| status.nlink() == 0);
        if self.file.as_ref().is_none_or(is_gone) {
            self.reopen().map_err(|error| (lines, error))?;
        }
        let Some(file) = &mut self.file else { return Err((lines, io::ErrorKind::NotFound.into())) };
        if self.is_cut {
            file.write_all(b"\n").map_err(|error| (lines, error))?;
            self.is_cut = false;
            self.length += 1;
        }
        let mut rest = lines;
        while !rest.is_empty() {
            match file.write(rest) {
                Ok(0) => return Err((rest, io::ErrorKind::WriteZero.into())),
                Ok(written) => {
                    self.length += written as u64;
                    self.is_cut = rest.get(written - 1) != Some(&b'\n');
                    rest = rest.get(written..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((rest, error)),
            }
        }
        Ok(())
    }
}
