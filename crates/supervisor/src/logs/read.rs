//! Reads kept lines back, across closed files. Works without a running supervisor too. Blocks.

use std::{
    collections::VecDeque,
    io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom},
    os::unix::fs::FileExt as _,
    path::Path,
};

use masque_types::time::Timestamp;

use super::{Line, closed::Closed, splitter::LONGEST};

/// Bytes of a line in a file, with its time and its end.
const WIDEST: u64 = LONGEST as u64 + 64;
/// Bytes that are read at once from the end of a file.
const CHUNK: usize = 64 << 10;

/// The last `most` lines of a service, oldest first. `logs` is the directory of log files.
///
/// # Errors
/// When a file cannot be read.
pub fn read_tail(logs: &Path, service: &str, most: usize) -> io::Result<Vec<Line>> {
    let closed = Closed::new(logs, service);
    Files::now(&closed)?.tail(&closed, most)
}

/// The first `most` lines of a service that were printed at `from` or later, oldest first.
///
/// # Errors
/// When a file cannot be read.
pub fn read_since(logs: &Path, service: &str, from: Timestamp, most: usize) -> io::Result<Vec<Line>> {
    since(&Closed::new(logs, service), from, most)
}

/// The files of a service at one moment. What is written later is not read from them.
pub(super) struct Files {
    open: Option<fs_err::File>,
    /// Bytes of the open one.
    length: u64,
    /// Numbers of the closed ones.
    closed: Vec<u64>,
}

impl Files {
    /// The files as they are now.
    pub(super) fn now(closed: &Closed) -> io::Result<Self> {
        let open = match fs_err::File::open(closed.open_file()) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let length = open.as_ref().map(fs_err::File::metadata).transpose()?.map_or(0, |metadata| metadata.len());
        Ok(Self { open, length, closed: closed.list()?.into_keys().collect() })
    }

    /// The last lines, oldest first. Reads no more of the open file than holds them.
    pub(super) fn tail(self, closed: &Closed, most: usize) -> io::Result<Vec<Line>> {
        let mut lines = VecDeque::new();
        if most == 0 {
            return Ok(Vec::new());
        }
        if let Some(mut file) = self.open {
            let begin = begin_of_last(&file, self.length, most)?;
            file.seek(SeekFrom::Start(begin))?;
            lines = last_of(Box::new(file.take(self.length - begin)), most)?;
        }
        for number in self.closed.into_iter().rev() {
            if lines.len() >= most {
                break;
            }
            let mut before = last_of(closed.read(number)?, most - lines.len())?;
            before.append(&mut lines);
            lines = before;
        }
        Ok(lines.into())
    }
}

/// Where the last lines of a file begin, found from its end.
fn begin_of_last(file: &fs_err::File, length: u64, most: usize) -> io::Result<u64> {
    let mut chunk = vec![0; CHUNK];
    let (mut end, mut ends) = (length, 0);
    while end > 0 {
        let begin = end.saturating_sub(CHUNK as u64);
        let part = chunk.get_mut(..usize::try_from(end - begin).unwrap_or(CHUNK)).unwrap_or_default();
        file.file().read_exact_at(part, begin)?;
        for (place, _) in part.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = begin + place as u64 + 1;
            // After the end of the last line none begins.
            ends += usize::from(after < length);
            if ends == most {
                return Ok(after);
            }
        }
        end = begin;
    }
    Ok(0)
}

fn last_of(reader: Box<dyn Read>, most: usize) -> io::Result<VecDeque<Line>> {
    let mut last = VecDeque::new();
    each_line(reader, |line| {
        last.push_back(line);
        if last.len() > most {
            last.pop_front();
        }
        true
    })?;
    Ok(last)
}

pub(super) fn since(closed: &Closed, from: Timestamp, most: usize) -> io::Result<Vec<Line>> {
    let mut lines = Vec::new();
    let readers = closed.list()?.into_keys().map(|number| closed.read(number));
    for reader in readers.chain([open(closed)]) {
        each_line(reader?, |line| {
            if line.at >= from && lines.len() < most {
                lines.push(line);
            }
            lines.len() < most
        })?;
    }
    Ok(lines)
}

fn open(closed: &Closed) -> io::Result<Box<dyn Read>> {
    match fs_err::File::open(closed.open_file()) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Box::new(io::empty())),
        Err(error) => Err(error),
    }
}

/// Gives each line until that is enough.
fn each_line(reader: Box<dyn Read>, mut line: impl FnMut(Line) -> bool) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    let mut raw = Vec::new();
    let mut before = Timestamp(0);
    // Somebody may have put a file without lines there.
    while reader.by_ref().take(WIDEST).read_until(b'\n', &mut raw)? > 0 {
        let read = Line::parse(raw.strip_suffix(b"\n").unwrap_or(&raw), before);
        before = read.at;
        if !line(read) {
            break;
        }
        raw.clear();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, begin_of_last};

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let long = "x".repeat(CHUNK + 1);
        for (text, most, last) in [
            ("", 1, ""),
            ("a\nb\nc\n", 1, "c\n"),
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc\n", 9, "a\nb\nc\n"),
            ("a\nb", 1, "b"),
            ("\n\n", 1, "\n"),
            (&format!("a\n{long}\n"), 1, &format!("{long}\n")),
            (&format!("{long}\nb\n"), 2, &format!("{long}\nb\n")),
        ] {
            fs_err::write(file.path(), text).unwrap();
            let opened = fs_err::File::open(file.path()).unwrap();
            let begin = begin_of_last(&opened, text.len() as u64, most).unwrap();
            assert_eq!(&text[usize::try_from(begin).unwrap()..], last);
        }
    }
}
