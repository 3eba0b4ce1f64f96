//! The Markdown that extraction writes: blocks with headings, up to a limit. Leaves out tables.

use crate::{Found, Limits};

/// Longest title, in characters.
const TITLE: usize = 200;

/// Markdown being written. Once it is full, the rest is left out.
#[derive(Debug)]
pub(crate) struct Text {
    written: String,
    limit: usize,
    is_full: bool,
}

impl Text {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { written: String::new(), limit: limits.text_bytes, is_full: false }
    }

    /// Whether nothing more fits.
    pub(crate) const fn is_full(&self) -> bool {
        self.is_full
    }

    /// A heading; levels beyond 6 are 6.
    pub(crate) fn heading(&mut self, level: usize, title: &str) {
        let title = one_line(title);
        if !title.is_empty() {
            self.block(&format!("{} {title}", "#".repeat(level.clamp(1, 6))));
        }
    }

    /// Text of the document as a paragraph: what would be read as a heading or a fence there is not one.
    pub(crate) fn paragraph(&mut self, text: &str) {
        self.block(&escaped(text));
    }

    /// An item of a list, after other items without an empty line.
    pub(crate) fn item(&mut self, depth: usize, mark: &str, text: &str) {
        let text = one_line_of_any_length(text);
        if text.is_empty() {
            return;
        }
        let indent = "  ".repeat(depth.min(8));
        let line = format!("{indent}{mark} {text}");
        let follows_item = self.written.lines().next_back().is_some_and(is_item);
        self.append(if follows_item { "\n" } else { "\n\n" }, &line);
    }

    /// Markdown as it stands, apart from what is there.
    pub(crate) fn block(&mut self, markdown: &str) {
        let markdown = markdown.trim_matches('\n').trim_end();
        if !markdown.is_empty() {
            self.append("\n\n", markdown);
        }
    }

    fn append(&mut self, separator: &str, text: &str) {
        let separator = if self.written.is_empty() { "" } else { separator };
        if self.is_full || self.written.len() + separator.len() + text.len() > self.limit {
            self.is_full = true;
            return;
        }
        self.written.push_str(separator);
        self.written.push_str(text);
    }

    /// What was written, with a note if it was cut.
    pub(crate) fn into_found(self) -> Found {
        let notes = self.is_full.then(|| cut_note(self.limit)).into_iter().collect();
        let mut text = self.written;
        if !text.is_empty() {
            text.push('\n');
        }
        Found { text, notes, ..Found::default() }
    }
}

fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    let after_number = line.trim_start_matches(|letter: char| letter.is_ascii_digit());
    line.starts_with("- ") || (after_number.len() < line.len() && after_number.starts_with(". "))
}

/// Text in which no line is a heading, a fence or a rule of Markdown.
fn escaped(text: &str) -> String {
    let marks = ["#", "```", "~~~", "---", "==="];
    let line = |line: &str| {
        let bare = line.trim_start();
        if marks.iter().any(|mark| bare.starts_with(mark)) { format!("\\{bare}") } else { line.trim_end().to_owned() }
    };
    text.trim().lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Text on one line, not longer than a title.
pub(crate) fn one_line(text: &str) -> String {
    let line = one_line_of_any_length(text);
    if line.chars().count() <= TITLE {
        return line;
    }
    let cut: String = line.chars().take(TITLE - 1).collect();
    format!("{}…", cut.trim_end())
}

/// Text on one line.
pub(crate) fn one_line_of_any_length(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Cuts text that is longer than the limit, at the end of a line if there is one near.
pub(crate) fn cut(found: &mut Found, limits: &Limits) {
    if found.text.len() <= limits.text_bytes {
        return;
    }
    let end = found.text.floor_char_boundary(limits.text_bytes);
    found.text.truncate(end);
    if let Some(line_end) = found.text.rfind('\n').filter(|line_end| end - line_end < 4096) {
        found.text.truncate(line_end + 1);
    }
    found.notes.push(cut_note(limits.text_bytes));
}

fn cut_note(limit: usize) -> String {
    format!("its text was cut after {limit} bytes")
}
