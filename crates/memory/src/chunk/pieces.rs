//! Pieces: what a chunk is put together from, and the seams between them. Leaves out what makes a line special in Markdown
//! and in code.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::tokens;

/// How good it is to cut before a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Seam {
    /// In the middle of a word or of a sentence.
    Word,
    /// Between the lines of a sentence, or within a nested block of code.
    Line,
    /// Between sentences, rows or statements.
    Sentence,
    /// Between the items of a list, or blank lines within a block of code.
    Item,
    /// Between paragraphs.
    Paragraph,
    /// Between things that have nothing to do with each other: the next chunk repeats nothing from before.
    Topic,
}

/// A stretch of text that stays whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) range: Range<usize>,
    pub(super) units: usize,
    /// How good it is to cut before it.
    pub(super) seam: Seam,
    /// The head of the table that it is a row of; a chunk that begins with the row repeats it.
    pub(super) head: Option<Range<usize>>,
}

/// Collects pieces that follow each other without a gap.
pub(super) struct Tiles<'a> {
    pub(super) text: &'a str,
    /// Units of a piece at most.
    pub(super) most: usize,
    pieces: Vec<Piece>,
}

impl<'a> Tiles<'a> {
    pub(super) const fn new(text: &'a str, most: usize) -> Self {
        Self { text, most, pieces: Vec::new() }
    }

    pub(super) fn into_pieces(self) -> Vec<Piece> {
        self.pieces
    }

    pub(super) fn slice(&self, range: &Range<usize>) -> &'a str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// Whether a stretch can stay whole.
    pub(super) fn fits(&self, range: &Range<usize>) -> bool {
        tokens::units(self.slice(range)) <= self.most
    }

    /// Adds a stretch, cut at words if it is too long to stay whole.
    pub(super) fn push(&mut self, range: Range<usize>, seam: Seam, head: Option<&Range<usize>>) {
        if range.is_empty() {
            return;
        }
        let head = head.filter(|head| tokens::units(self.slice(head)) <= self.most / 2);
        let most = self.most - head.map_or(0, |head| tokens::units(self.slice(head)));
        let units = tokens::units(self.slice(&range));
        if units <= most {
            self.pieces.push(Piece { range, units, seam, head: head.cloned() });
            return;
        }
        for (place, part) in at_words(self.slice(&range), most).into_iter().enumerate() {
            let seam = if place == 0 { seam } else { Seam::Word };
            let range = range.start + part.start..range.start + part.end;
            let units = tokens::units(self.slice(&range));
            self.pieces.push(Piece { range, units, seam, head: head.cloned() });
        }
    }

    /// Adds the sentences of a paragraph.
    pub(super) fn push_sentences(&mut self, range: Range<usize>, seam: Seam) {
        let mut seam = seam;
        for (at, sentence) in self.slice(&range).split_sentence_bound_indices() {
            let start = range.start + at;
            self.push(start..start + sentence.len(), seam, None);
            let ended = sentence.trim_end().ends_with(['.', '!', '?', ':', ';', '。', '！', '？']);
            seam = if ended { Seam::Sentence } else { Seam::Line };
        }
    }
}

/// Cuts at the ends of words into parts of at most so many units; a word that is longer is cut anywhere.
fn at_words(text: &str, most: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut units) = (0, 0);
    let mut add = |at: usize, weight: usize, parts: &mut Vec<Range<usize>>| {
        if units + weight > most && at > start {
            parts.push(start..at);
            (start, units) = (at, 0);
        }
        units += weight;
    };
    for (at, word) in text.split_word_bound_indices() {
        let weight = tokens::units(word);
        if weight <= most {
            add(at, weight, &mut parts);
        } else {
            word.char_indices().for_each(|(place, c)| add(at + place, tokens::of_char(c), &mut parts));
        }
    }
    parts.push(start..text.len());
    parts
}

/// Lines with their ends, and where they begin.
pub(super) fn lines(text: &str, range: Range<usize>) -> Vec<(usize, &str)> {
    let mut at = range.start;
    let body = text.get(range).unwrap_or_default();
    body.split_inclusive('\n')
        .map(|line| {
            let start = at;
            at += line.len();
            (start, line)
        })
        .collect()
}

/// Tiles plain text: paragraphs end at blank lines, and where the depth of quoting changes, as in mails.
pub(super) fn tile_paragraphs(tiles: &mut Tiles<'_>, range: Range<usize>) {
    let mut start = range.start;
    let (mut blank_before, mut quoted_before) = (true, 0);
    for (at, line) in lines(tiles.text, range.clone()) {
        let blank = line.trim().is_empty();
        let quoted = quote_depth(line);
        if !blank && at > start && (blank_before || quoted != quoted_before) {
            tiles.push_sentences(start..at, Seam::Paragraph);
            start = at;
        }
        if !blank {
            quoted_before = quoted;
        }
        blank_before = blank;
    }
    tiles.push_sentences(start..range.end, Seam::Paragraph);
}

fn quote_depth(line: &str) -> usize {
    line.chars().take_while(|c| matches!(c, '>' | ' ')).filter(|c| *c == '>').count()
}
