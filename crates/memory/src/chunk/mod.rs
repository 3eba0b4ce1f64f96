//! Cutting a text into chunks.
//!
//! Owns: where a chunk may begin and end, sizes, overlap, headings. Leaves out extraction and terms.
//!
//! A text is cut in three passes. [`shape`] finds sections and what stands above them, [`pieces`] tiles each section with
//! pieces that stay whole and says how good each seam between them is, [`pack`] joins neighbouring pieces into chunks. A
//! chunk is therefore always a stretch of the text, save for the head of a table, which is repeated.

mod code;
mod markdown;
mod pack;
mod pieces;
mod shape;
mod spec;
mod tokens;

use std::ops::Range;

use masque_types::{digest::Digest, memory::Chunk};

use pack::Cut;
use shape::{Section, Shape};
pub use spec::ChunkSpec;
pub use tokens::estimated_tokens;

/// A text that is cut.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// The document's title; it leads the headings of each chunk.
    pub title: &'a str,
    /// Media type of what it was extracted from; it decides where may be cut.
    pub media_type: &'a str,
    /// The text.
    pub text: &'a str,
}

/// Cuts a text into chunks. The same text gives the same chunks; every character is in at least one of them, in its text
/// or its headings. A text that is empty but for its title gives one chunk.
#[must_use]
pub fn chunks(text: &Text<'_>, spec: &ChunkSpec) -> Vec<Chunk> {
    let shape = Shape::of(text.media_type);
    let lines = Lines::of(text.text);
    let mut chunks = Vec::new();
    for section in shape.sections(text.text) {
        let headings = with_title(text.title, &section.headings);
        for cut in cuts(shape, text.text, &section, spec) {
            let mut headings = headings.clone();
            if shape == Shape::Code {
                headings.extend(code::enclosing(text.text, cut.range.start));
            }
            chunks.push(chunk(text.text, &lines, headings, &cut));
        }
    }
    if chunks.is_empty() && !text.title.trim().is_empty() {
        let cut = Cut { range: 0..0, head: None };
        chunks.push(chunk(text.text, &lines, with_title(text.title, &[]), &cut));
    }
    for (ordinal, chunk) in (0..).zip(&mut chunks) {
        chunk.ordinal = ordinal;
    }
    chunks
}

/// Digest of everything that a chunk's vector depends on.
#[must_use]
pub fn digest(headings: &[String], text: &str) -> Digest {
    Digest::of_parts(headings.iter().map(String::as_bytes).chain([text.as_bytes()]))
}

fn cuts(shape: Shape, text: &str, section: &Section, spec: &ChunkSpec) -> Vec<Cut> {
    let body = text.get(section.range.clone()).unwrap_or_default();
    if body.trim().is_empty() {
        return if section.is_leaf {
            vec![Cut { range: section.range.start..section.range.start, head: None }]
        } else {
            Vec::new()
        };
    }
    let most = tokens::units_of_tokens(spec.tokens());
    pack::pack(&shape.pieces(text, section.range.clone(), most), most, tokens::units_of_tokens(spec.overlap()))
}

fn with_title(title: &str, headings: &[String]) -> Vec<String> {
    let title = shape::one_line(title);
    let repeated = headings.first().is_some_and(|first| *first == title);
    let leading = (!title.is_empty() && !repeated).then_some(title);
    leading.into_iter().chain(headings.iter().cloned()).collect()
}

fn chunk(text: &str, lines: &Lines, headings: Vec<String>, cut: &Cut) -> Chunk {
    let range = trimmed(text, cut.range.clone());
    let head = cut.head.clone().and_then(|head| text.get(head)).unwrap_or_default();
    let body = format!("{head}{}", text.get(range.clone()).unwrap_or_default());
    Chunk {
        ordinal: 0,
        lines: (lines.number(range.start), lines.number(range.end.saturating_sub(1).max(range.start))),
        tokens: u32::try_from(estimated_tokens(&body)).unwrap_or(u32::MAX),
        digest: digest(&headings, &body),
        headings,
        text: body,
    }
}

/// Without blank lines before and without white space behind; the first line keeps its indentation.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let Some(body) = text.get(range.clone()) else { return range };
    let end = range.start + body.trim_end().len();
    let blank = body.len() - body.trim_start().len();
    let first_line = body.get(..blank).and_then(|lead| lead.rfind('\n')).map_or(0, |at| at + 1);
    (range.start + first_line).min(end)..end
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// The number of the line that an offset is in, from 1.
    fn number(&self, offset: usize) -> u32 {
        u32::try_from(self.0.partition_point(|start| *start <= offset)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests;
