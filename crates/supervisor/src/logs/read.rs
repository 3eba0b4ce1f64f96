//! Reads kept lines back, across closed files. Works without a running supervisor too. Blocks.

use std::{
    collections::VecDeque,
    io::{self, BufRead as _, BufReader, Read},
    path::Path,
};

use masque_types::time::Timestamp;

use super::{Line, closed::Closed, splitter::LONGEST};

/// Bytes of a line in a file, with its time and its end.
const WIDEST: u64 = LONGEST as u64 + 64;

/// The last `most` lines of a service, oldest first. `logs` is the directory of log files.
///
/// # Errors
/// When a file cannot be read.
pub fn read_tail(logs: &Path, service: &str, most: usize) -> io::Result<Vec<Line>> {
    tail(&Closed::new(logs, service), most)
}

/// The first `most` lines of a service that were printed at `from` or later, oldest first.
///
/// # Errors
/// When a file cannot be read.
pub fn read_since(logs: &Path, service: &str, from: Timestamp, most: usize) -> io::Result<Vec<Line>> {
    since(&Closed::new(logs, service), from, most)
}

pub(super) fn tail(closed: &Closed, most: usize) -> io::Result<Vec<Line>> {
    let mut lines: VecDeque<Line> = VecDeque::new();
    let last_of = |reader: Box<dyn Read>, most: usize| {
        let mut last = VecDeque::new();
        each_line(reader, |line| {
            last.push_back(line);
            if last.len() > most {
                last.pop_front();
            }
            true
        })?;
        io::Result::Ok(last)
    };
    if most == 0 {
        return Ok(Vec::new());
    }
    lines.extend(last_of(open(closed)?, most)?);
    for number in closed.list()?.into_keys().rev() {
        if lines.len() >= most {
            break;
        }
        let mut before = last_of(closed.read(number)?, most - lines.len())?;
        before.append(&mut lines);
        lines = before;
    }
    Ok(lines.into())
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
