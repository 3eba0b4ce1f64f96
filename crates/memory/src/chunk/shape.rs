//! What kind of text is cut, and its sections. Leaves out where a section is cut.

use std::ops::Range;

use super::{
    code, markdown,
    pieces::{self, Piece},
};

/// Characters of a heading that are kept.
const LONGEST_HEADING: usize = 160;

/// What decides where a text may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Headings, lists, fences, tables.
    Markdown,
    /// Lines and their indentation.
    Code,
    /// Paragraphs and sentences.
    Plain,
}

/// A stretch of text below the same headings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// The headings above it, outermost first.
    pub(super) headings: Vec<String>,
    /// Where its text is, without its own heading.
    pub(super) range: Range<usize>,
    /// Whether its heading stands above no other section, so that only this one can carry it.
    pub(super) is_leaf: bool,
}

impl Shape {
    /// Only what is known not to be Markdown is anything else: extracted documents are Markdown whatever they were before.
    pub(super) fn of(media_type: &str) -> Self {
        let name = media_type.split(';').next().unwrap_or_default().trim();
        match name {
            "text/plain" => Self::Plain,
            "text/css"
            | "text/javascript"
            | "application/json"
            | "application/yaml"
            | "application/toml"
            | "application/xml"
            | "text/xml"
            | "application/javascript"
            | "application/x-ndjson"
            | "application/sql" => Self::Code,
            "text/x-markdown" | "text/x-web-markdown" => Self::Markdown,
            _ if name.starts_with("text/x-") => Self::Code,
            _ => Self::Markdown,
        }
    }

    pub(super) fn sections(self, text: &str) -> Vec<Section> {
        match self {
            Self::Markdown => markdown::sections(text),
            Self::Code | Self::Plain => vec![Section { headings: Vec::new(), range: 0..text.len(), is_leaf: false }],
        }
    }

    /// Tiles a stretch of text with pieces of at most so many units.
    pub(super) fn pieces(self, text: &str, range: Range<usize>, most: usize) -> Vec<Piece> {
        let mut tiles = pieces::Tiles::new(text, most);
        match self {
            Self::Markdown => markdown::tile(&mut tiles, range),
            Self::Code => code::tile(&mut tiles, range),
            Self::Plain => pieces::tile_paragraphs(&mut tiles, range),
        }
        tiles.into_pieces()
    }
}

/// A heading or title as one short line.
pub(super) fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(LONGEST_HEADING).collect()
}
