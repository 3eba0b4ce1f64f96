//! Server-sent events: bytes in, events out, whatever the chunks' boundaries are.
//!
//! Lines end with LF or CRLF. Leaves out reconnecting and what the events mean.

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Event {
    /// The `event:` field; empty when there was none.
    pub(crate) name: String,
    /// The `data:` lines, joined by line feeds.
    pub(crate) data: String,
}

/// What a stream of events cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScanError {
    /// Bytes that are no text.
    #[error("the stream is not valid UTF-8")]
    NotUtf8,
    /// A line without end.
    #[error("a line of the stream is longer than {} MiB", LONGEST_LINE >> 20)]
    TooLong,
}

/// A line may hold a whole answer (Gemini sends tool calls in one piece), but not fill the memory.
const LONGEST_LINE: usize = 32 << 20;

/// Collects bytes and gives events.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    buffer: Vec<u8>,
    /// Start of the line that is being read.
    line_start: usize,
    /// Bytes of that line that are known to hold no line feed.
    searched: usize,
    event: Event,
    has_data: bool,
}

impl Scanner {
    /// Takes the next bytes of the stream.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if self.line_start > 0 {
            self.buffer.drain(..self.line_start);
            self.line_start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole event, if it is there already.
    pub(crate) fn next_event(&mut self) -> Result<Option<Event>, ScanError> {
        while let Some(line) = self.next_line()? {
            if let Some(event) = self.take_line(&line) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The event that the end of the stream completes: some servers leave out the last empty line.
    pub(crate) fn finish(&mut self) -> Result<Option<Event>, ScanError> {
        self.push(b"\n\n");
        self.next_event()
    }

    fn next_line(&mut self) -> Result<Option<String>, ScanError> {
        let rest = self.buffer.get(self.line_start..).unwrap_or_default();
        let unsearched = rest.get(self.searched..).unwrap_or_default();
        let Some(found) = unsearched.iter().position(|byte| *byte == b'\n') else {
            self.searched = rest.len();
            return if rest.len() > LONGEST_LINE { Err(ScanError::TooLong) } else { Ok(None) };
        };
        let end = self.searched + found;
        let line = rest.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = std::str::from_utf8(line).map_err(|_| ScanError::NotUtf8)?.to_owned();
        self.line_start += end + 1;
        self.searched = 0;
        Ok(Some(line))
    }

    fn take_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field.trim_start_matches('\u{feff}') {
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.has_data = true;
                self.event.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.event.name),
            // Comments keep the connection open; `id` and `retry` are for reconnecting.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scan(chunks: &[&[u8]]) -> Vec<(String, String)> {
        let mut scanner = Scanner::default();
        let mut events = Vec::new();
        for chunk in chunks {
            scanner.push(chunk);
            while let Some(event) = scanner.next_event().unwrap() {
                events.push((event.name, event.data));
            }
        }
        events.extend(scanner.finish().unwrap().map(|event| (event.name, event.data)));
        events
    }

    const STREAM: &str = "\u{feff}: hello\r\n\r\nevent: a\r\ndata: {\"x\":\"é🦀\"}\r\n\r\ndata:1\ndata: 2\nid: 7\n\n\n\
                          event: no data\n\ndata: [DONE]";

    proptest! {
        #[test]
        fn chunk_boundaries_do_not_matter(cuts in proptest::collection::vec(0..STREAM.len(), 0..12)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &STREAM.as_bytes()[pair[0]..pair[1]]).collect();
            let expected = [("a", "{\"x\":\"é🦀\"}"), ("", "1\n2"), ("", "[DONE]")];
            prop_assert_eq!(scan(&chunks), expected.map(|(name, data)| (name.to_owned(), data.to_owned())).to_vec());
        }

        #[test]
        fn any_bytes_are_scanned_without_panic(bytes: Vec<u8>) {
            let mut scanner = Scanner::default();
            scanner.push(&bytes);
            while let Ok(Some(_)) = scanner.next_event() {}
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error() {
        let mut scanner = Scanner::default();
        scanner.push(b"data: \xff\xfe\n\n");
        assert_eq!(scanner.next_event(), Err(ScanError::NotUtf8));
    }
}
