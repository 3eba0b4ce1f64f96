//! A window of lines out of a text of any size, in bounded memory.

use std::{fmt::Write as _, io::BufRead};

use crate::{failure::Outcome, stop::Stop};

/// Lines shown when the caller names no number.
pub(crate) const DEFAULT_LINES: u64 = 2_000;
/// Bytes of one line that are shown; what is longer is cut and says so.
const LINE_BYTES: usize = 4_000;
/// Bytes of all lines that are shown at once.
const WINDOW_BYTES: usize = 256 * 1024;
/// Bytes after which the rest is no longer read to count its lines.
const SCAN_BYTES: u64 = 256 * 1024 * 1024;

/// Which lines, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// First line, from 1.
    pub(crate) first: u64,
    /// How many.
    pub(crate) count: u64,
    /// Whether each line begins with its number.
    pub(crate) numbered: Numbering,
}

/// Whether lines carry their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbering {
    /// Only the text.
    Plain,
    /// Number, tab, text.
    Numbered,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Window {
    /// The lines, as they are except for cuts.
    pub(crate) text: String,
    /// The last line in `text`; before the first one when there is none.
    pub(crate) last: u64,
    /// All lines of the text, as far as they were counted.
    pub(crate) total: u64,
    /// Whether all lines were counted.
    pub(crate) counted: bool,
    /// Whether bytes were no UTF-8 and are shown as replacement characters.
    pub(crate) replaced: bool,
}

impl Window {
    /// The window with a closing remark about what it does not show.
    pub(crate) fn with_remark(self, first: u64) -> String {
        let Self { mut text, last, total, counted, replaced } = self;
        let total_text = if counted { total.to_string() } else { format!("more than {total}") };
        if total == 0 {
            text.push_str("[empty]");
        } else if last < first {
            let _ = write!(text, "[there are only {total_text} lines: choose a smaller offset_line]");
        } else if first > 1 || last < total || !counted {
            let next = if last < total || !counted {
                format!("; read on with offset_line={}", last.saturating_add(1))
            } else {
                String::new()
            };
            let _ = write!(text, "[lines {first}-{last} of {total_text}{next}]");
        }
        if replaced {
            text.push_str("\n[some bytes are not UTF-8 and are shown as \u{fffd}]");
        }
        text
    }
}

/// Reads the wanted lines and counts the rest.
///
/// # Errors
/// When reading fails or the call is stopped.
pub(crate) fn window(reader: &mut impl BufRead, wanted: Wanted, stop: &Stop) -> Outcome<Window> {
    let first = wanted.first.max(1);
    let mut window = Window { last: first.saturating_sub(1), ..Window::default() };
    let mut line = Line::default();
    let mut scanned = 0;
    let mut full = false;
    while line.read(reader)? {
        stop.check()?;
        window.total += 1;
        scanned += line.length;
        let inside = window.total >= first && window.total - first < wanted.count;
        if inside && !full {
            full = !window.push(&line, wanted.numbered);
        }
        if scanned > SCAN_BYTES {
            return Ok(window);
        }
    }
    window.counted = true;
    Ok(window)
}

impl Window {
    /// Adds a line unless the window would become too large; always takes the first one.
    fn push(&mut self, line: &Line, numbering: Numbering) -> bool {
        let text = String::from_utf8_lossy(&line.head);
        if !self.text.is_empty() && self.text.len() + text.len() > WINDOW_BYTES {
            return false;
        }
        // A cut may split a character; only bytes that were wrong before count as replaced.
        let cut = line.length > line.head.len() as u64;
        self.replaced |= matches!(text, std::borrow::Cow::Owned(_)) && !cut;
        if numbering == Numbering::Numbered {
            let _ = write!(self.text, "{:>6}\t", self.total);
        }
        self.text.push_str(text.trim_end_matches('\n'));
        if cut {
            let _ = write!(self.text, " [cut: the line has {} bytes]", line.length);
        }
        self.text.push('\n');
        self.last = self.total;
        true
    }
}

/// One line: its beginning and its true length.
#[derive(Debug, Default)]
struct Line {
    head: Vec<u8>,
    length: u64,
}

impl Line {
    /// Reads the next line; `false` at the end.
    fn read(&mut self, reader: &mut impl BufRead) -> Outcome<bool> {
        self.head.clear();
        self.length = 0;
        loop {
            let chunk =
                reader.fill_buf().map_err(|error| crate::failure::Failure::new(format!("reading stopped: {error}")))?;
            if chunk.is_empty() {
                return Ok(self.length > 0);
            }
            let end = chunk.iter().position(|byte| *byte == b'\n').map(|place| place + 1);
            let taken = end.unwrap_or(chunk.len());
            let room = LINE_BYTES.saturating_sub(self.head.len()).min(taken);
            self.head.extend(chunk.iter().take(room));
            self.length += taken as u64;
            reader.consume(taken);
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], first: u64, count: u64) -> String {
        let wanted = Wanted { first, count, numbered: Numbering::Plain };
        window(&mut std::io::BufReader::with_capacity(7, text), wanted, &Stop::default()).unwrap().with_remark(first)
    }

    #[test]
    fn shows_a_window_and_says_how_to_read_on() {
        assert_eq!(read(b"a\nb\nc", 1, 10), "a\nb\nc\n");
        assert_eq!(read(b"a\nb\nc", 1, 2), "a\nb\n[lines 1-2 of 3; read on with offset_line=3]");
        assert_eq!(read(b"a\nb\nc\n", 3, 2), "c\n[lines 3-3 of 3]");
        assert_eq!(read(b"a\nb\n", 9, 2), "[there are only 2 lines: choose a smaller offset_line]");
        assert_eq!(read(b"", 1, 2), "[empty]");
    }

    #[test]
    fn long_lines_and_wrong_bytes_are_shown_as_such() {
        assert!(read(&[b'x'; 10_000], 1, 1).ends_with("x [cut: the line has 10000 bytes]\n"));
        assert_eq!(read(b"a\xffb\n", 1, 1), "a\u{fffd}b\n\n[some bytes are not UTF-8 and are shown as \u{fffd}]");
    }

    #[test]
    fn a_window_has_a_largest_size() {
        let text = "0123456789\n".repeat(60_000);
        let shown = read(text.as_bytes(), 1, u64::MAX);
        assert!(shown.len() < WINDOW_BYTES + 200, "{}", shown.len());
        assert!(shown.contains("of 60000; read on with offset_line="));
    }
}
