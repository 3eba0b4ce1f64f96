//! Texts of strangers on the screen: without what moves the cursor, broken where the window ends.

use ratatui::text::{Line, Span};

use crate::{chat::text::width, render::style};

/// A text without escape sequences and control characters; tabs become blanks.
pub(super) fn clean(text: &str) -> String {
    style::harmless(&anstream::adapter::strip_str(text).to_string()).replace(['\t', '\n'], "    ")
}

/// A clean text in rows of at most so many columns; at least one row.
pub(super) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let (mut rows, mut row, mut used) = (Vec::new(), String::new(), 0);
    for letter in text.chars() {
        let wide = width(letter.encode_utf8(&mut [0; 4]));
        if used + wide > columns && !row.is_empty() {
            rows.push(std::mem::take(&mut row));
            used = 0;
        }
        row.push(letter);
        used += wide;
    }
    rows.push(row);
    rows
}

/// A line with blanks up to that width, so that its style reaches the end.
pub(super) fn padded(mut line: Line<'_>, columns: u16) -> Line<'_> {
    let missing = usize::from(columns).saturating_sub(line.width());
    line.push_span(Span::raw(" ".repeat(missing)));
    line
}
