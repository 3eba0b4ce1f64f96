//! Cutting code and other text whose indentation tells what belongs together. Leaves out grammars: every language that is
//! indented is cut alike.

use std::ops::Range;

use super::{
    pieces::{Seam, Tiles, lines},
    shape::one_line,
};

/// Lines around a chunk that are kept as its headings.
const MOST_ENCLOSING: usize = 3;
/// Columns of a tab.
const TAB: usize = 4;

/// Tiles code with its lines. The less a line is indented, the better is the seam before it; blank lines make it better.
pub(super) fn tile(tiles: &mut Tiles<'_>, range: Range<usize>) {
    let mut start = range.start;
    let mut seam = Seam::Topic;
    let mut blank_before = false;
    for (at, line) in lines(tiles.text, range.clone()) {
        if line.trim().is_empty() {
            blank_before = true;
            continue;
        }
        if at > start {
            tiles.push(start..at, seam, None);
            (start, seam) = (at, seam_before(line, blank_before));
        }
        blank_before = false;
    }
    tiles.push(start..range.end, seam, None);
}

fn seam_before(line: &str, blank_before: bool) -> Seam {
    let outermost = indentation(line) == 0;
    match (outermost, blank_before) {
        _ if closes(line) => Seam::Word,
        (true, true) => Seam::Topic,
        (true, false) => Seam::Sentence,
        (false, true) => Seam::Item,
        (false, false) => Seam::Line,
    }
}

fn closes(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with(['}', ')', ']']) || line.trim_end() == "end"
}

/// Columns before the first character of a line.
fn indentation(line: &str) -> usize {
    line.chars().take_while(|c| matches!(c, ' ' | '\t')).map(|c| if c == '\t' { TAB } else { 1 }).sum()
}

/// The lines that a place in code stands in, outermost first: each less indented than what follows it.
pub(super) fn enclosing(text: &str, at: usize) -> Vec<String> {
    let after = text.get(at..).unwrap_or_default();
    let Some(first) = after.lines().find(|line| !line.trim().is_empty()) else { return Vec::new() };
    let mut depth = indentation(first);
    let mut found = Vec::new();
    for line in text.get(..at).unwrap_or_default().lines().rev() {
        if depth == 0 {
            break;
        }
        if line.trim().is_empty() || closes(line) || indentation(line) >= depth {
            continue;
        }
        depth = indentation(line);
        found.push(one_line(line.trim().trim_end_matches('{')).trim_end().to_owned());
    }
    found.truncate(MOST_ENCLOSING);
    found.reverse();
    found
}
