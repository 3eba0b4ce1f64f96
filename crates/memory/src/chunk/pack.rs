//! Joining pieces into chunks. Leaves out what pieces are.

use std::ops::Range;

use super::pieces::{Piece, Seam};

/// Where one chunk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) range: Range<usize>,
    /// The head of a table that stands before it.
    pub(super) head: Option<Range<usize>>,
}

/// Joins pieces into stretches of at most `most` units. Each ends at the best seam of its second half; each begins with up to
/// `overlap` units of the one before unless they have nothing to do with each other.
pub(super) fn pack(pieces: &[Piece], most: usize, overlap: usize) -> Vec<Cut> {
    let mut cuts = Vec::new();
    // What is new in the chunk that is being filled; what stands before it is repeated.
    let (mut start, mut fresh) = (0, 0);
    while let Some(first) = pieces.get(start) {
        let Some(end) = fill(pieces, start, fresh, most) else { break };
        if let Some(last) = pieces.get(end - 1) {
            let head = first.head.clone().filter(|head| head.start < first.range.start);
            cuts.push(Cut { range: first.range.start..last.range.end, head });
        }
        fresh = end;
        start = repeated(pieces, start, end, most, overlap);
        if end == pieces.len() {
            break;
        }
    }
    cuts
}

/// Where the chunk ends that begins with piece `start` and must have at least piece `fresh`.
fn fill(pieces: &[Piece], start: usize, fresh: usize, most: usize) -> Option<usize> {
    let mut used = head_units(pieces, start);
    let mut full = pieces.len();
    let mut best: Option<(Seam, usize)> = None;
    for (place, piece) in pieces.iter().enumerate().skip(start) {
        if place > fresh && used + piece.units > most {
            full = place;
            break;
        }
        used += piece.units;
        let next = place + 1;
        let seam = pieces.get(next).map(|next| next.seam);
        if place >= fresh
            && used * 2 >= most
            && let Some(seam) = seam
            && best.is_none_or(|(best, _)| seam >= best)
        {
            best = Some((seam, next));
        }
    }
    if full == pieces.len() {
        return (start < full).then_some(full);
    }
    Some(best.map_or(full, |(_, end)| end).min(full))
}

/// The head of a table costs what its text costs; it was tiled before its rows.
fn head_units(pieces: &[Piece], start: usize) -> usize {
    let Some(head) = pieces.get(start).and_then(|piece| piece.head.as_ref()) else { return 0 };
    pieces
        .iter()
        .take(start)
        .filter(|piece| head.start <= piece.range.start && piece.range.end <= head.end)
        .map(|piece| piece.units)
        .sum()
}

/// Where the next chunk begins, so that it repeats the end of this one.
fn repeated(pieces: &[Piece], start: usize, end: usize, most: usize, overlap: usize) -> usize {
    let Some(next) = pieces.get(end) else { return end };
    if next.seam == Seam::Topic || next.head.is_some() {
        return end;
    }
    let room = overlap.min(most.saturating_sub(next.units));
    let mut used = 0;
    let mut begin = end;
    while begin > start + 1
        && let Some(before) = pieces.get(begin - 1)
    {
        used += before.units;
        if used > room || before.head.is_some() {
            break;
        }
        begin -= 1;
    }
    begin
}
