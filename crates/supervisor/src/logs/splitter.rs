//! [`Splitter`]: makes lines of what comes in pieces. Pure.

/// Bytes of the longest line; what is longer becomes several.
pub(super) const LONGEST: usize = 16 << 10;

/// The beginning of a line whose end has not come yet.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    begun: Vec<u8>,
}

impl Splitter {
    /// Takes a piece and gives each line that it completes.
    pub(super) fn push(&mut self, mut piece: &[u8], mut line: impl FnMut(&[u8])) {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (head, rest) = piece.split_at(end);
            piece = rest.get(1..).unwrap_or_default();
            if self.begun.is_empty() {
                give(head, &mut line);
            } else {
                self.begun.extend_from_slice(head);
                self.flush(&mut line);
            }
        }
        self.begun.extend_from_slice(piece);
        while self.begun.len() > LONGEST {
            let rest = self.begun.split_off(LONGEST);
            line(&self.begun);
            self.begun = rest;
        }
    }

    /// Gives what has no end as a line.
    pub(super) fn flush(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.begun.is_empty() {
            give(&std::mem::take(&mut self.begun), &mut line);
        }
    }
}

fn give(whole: &[u8], line: &mut impl FnMut(&[u8])) {
    let whole = whole.strip_suffix(b"\r").unwrap_or(whole);
    if whole.is_empty() {
        line(whole);
    }
    whole.chunks(LONGEST).for_each(line);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{LONGEST, Splitter};

    fn lines(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        for piece in pieces {
            splitter.push(piece, |line| lines.push(line.to_vec()));
        }
        splitter.flush(|line| lines.push(line.to_vec()));
        lines
    }

    #[test]
    fn lines_are_put_together_and_too_long_ones_are_cut() {
        assert_eq!(lines(&[b"a", b"b\r\n\nc", b"\nd"]), [&b"ab"[..], b"", b"c", b"d"]);
        let long = vec![b'x'; 2 * LONGEST + 7];
        assert_eq!(lines(&[&long, b"y\n"]).iter().map(Vec::len).collect::<Vec<_>>(), [LONGEST, LONGEST, 8]);
        assert_eq!(lines(&[&long, b"\n", &long]).concat().len(), 2 * long.len());
    }

    proptest! {
        #[test]
        fn how_it_comes_does_not_matter(text in "[ab\n]{0,200}", at in prop::collection::vec(0_usize..200, 0..8)) {
            let mut cuts: Vec<usize> = at.into_iter().filter(|at| *at <= text.len()).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            let expected: Vec<Vec<u8>> = text.lines().map(|line| line.as_bytes().to_vec()).collect();
            prop_assert_eq!(lines(&pieces), expected);
        }
    }
}
