//! Styled text: spans without control characters, lines, wrapping to a width.
//!
//! Leaves out where lines are shown.

use anstyle::Style;
use unicode_width::UnicodeWidthChar as _;

/// Columns between two tab stops.
const TAB: &str = "    ";

/// Whether to write styles, and how wide lines may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Looks {
    /// Columns.
    pub(crate) width: usize,
    /// Whether styles are written. Without them, signs of the source stay: `#`, `*`, `` ` ``.
    pub(crate) colour: bool,
}

/// A piece of text in one style. It never holds a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    text: String,
    style: Style,
}

impl Span {
    /// A span of any text: line breaks become blanks, tabs four of them, other control characters a mark.
    pub(crate) fn new(text: &str, style: Style) -> Self {
        let mut clean = String::with_capacity(text.len());
        for letter in text.chars() {
            match letter {
                '\n' => clean.push(' '),
                '\t' => clean.push_str(TAB),
                letter if is_harmful(letter) => clean.push('\u{fffd}'),
                letter => clean.push(letter),
            }
        }
        Self { text: clean, style }
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// Whether a letter could move the cursor, change colours, or show text in another order than it has.
pub(crate) fn is_harmful(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Spans in a row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Line(Vec<Span>);

impl Line {
    /// A line of one span.
    pub(crate) fn styled(text: &str, style: Style) -> Self {
        Self(vec![Span::new(text, style)])
    }

    /// A line in no style.
    pub(crate) fn plain(text: &str) -> Self {
        Self::styled(text, Style::new())
    }

    /// Adds text at the end.
    pub(crate) fn push(&mut self, text: &str, style: Style) {
        if !text.is_empty() {
            self.push_span(Span::new(text, style));
        }
    }

    /// The same with more text at the end.
    pub(crate) fn with(mut self, text: &str, style: Style) -> Self {
        self.push(text, style);
        self
    }

    /// Adds a span at the end; joins it with one of the same style.
    pub(crate) fn push_span(&mut self, span: Span) {
        match self.0.last_mut() {
            Some(last) if last.style == span.style => last.text.push_str(&span.text),
            _ => self.0.push(span),
        }
    }

    /// Adds all spans of another line.
    pub(crate) fn extend(&mut self, other: &Self) {
        other.0.iter().for_each(|span| self.push_span(span.clone()));
    }

    /// Columns that it takes.
    pub(crate) fn width(&self) -> usize {
        self.0.iter().map(|span| width(&span.text)).sum()
    }

    /// Rows that it takes in a terminal of so many columns.
    pub(crate) fn rows(&self, columns: usize) -> usize {
        self.width().div_ceil(columns.max(1)).max(1)
    }

    /// Whether nothing is in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|span| span.text.is_empty())
    }

    /// The beginning of it that fits; what was left away is marked by `…`.
    pub(crate) fn clipped(&self, columns: usize) -> Self {
        if self.width() <= columns {
            return self.clone();
        }
        let mut room = columns.saturating_sub(1);
        let mut clipped = Self::default();
        for span in &self.0 {
            let fitting = prefix(&span.text, room);
            room -= width(fitting);
            clipped.push(fitting, span.style);
            if fitting.len() < span.text.len() {
                break;
            }
        }
        clipped.with("…", Style::new().dimmed())
    }

    /// The line in rows of so many columns: broken at blanks, within a word only where that is longer than a row. Blanks
    /// inside stay as they are; further rows stand two columns deeper than the first.
    pub(crate) fn folded(&self, columns: usize) -> Vec<Self> {
        if self.width() <= columns {
            return vec![self.clone()];
        }
        let letters: Vec<(char, Style)> =
            self.0.iter().flat_map(|span| span.text.chars().map(|letter| (letter, span.style))).collect();
        let depth = letters.iter().take_while(|(letter, _)| *letter == ' ').count();
        let deeper = " ".repeat((depth + 2).min(columns / 2));
        let (mut rows, mut row, mut rest) = (Vec::new(), Self::default(), letters.as_slice());
        loop {
            let room = columns.saturating_sub(row.width()).max(2);
            // Blanks that a row begins with are its depth, not a place to break at.
            let (now, later) = rest.split_at(break_at(rest, room, if rows.is_empty() { depth } else { 0 }));
            now.iter().for_each(|(letter, style)| row.push(letter.encode_utf8(&mut [0; 4]), *style));
            rows.push(row);
            let blanks = later.iter().take_while(|(letter, _)| *letter == ' ').count();
            rest = later.get(blanks..).unwrap_or_default();
            if rest.is_empty() {
                return rows;
            }
            row = Self::plain(&deeper);
        }
    }

    /// The text without styles, and without blanks at the end.
    pub(crate) fn text(&self) -> String {
        let all: String = self.0.iter().map(Span::text).collect();
        all.trim_end().to_owned()
    }

    /// The text as it is written to a terminal.
    pub(crate) fn written(&self, colour: bool) -> String {
        if !colour {
            return self.text();
        }
        let styled = |span: &Span| match span.style {
            style if style == Style::new() => span.text.clone(),
            style => format!("{style}{}{style:#}", span.text),
        };
        self.0.iter().map(styled).collect()
    }
}

/// Columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(letter_width).sum()
}

fn letter_width(letter: char) -> usize {
    letter.width().unwrap_or(0)
}

/// The longest beginning of a text that fits into so many columns.
pub(crate) fn prefix(text: &str, columns: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, letter)| {
        used += letter_width(*letter);
        used > columns
    });
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// How many letters the next row of so many columns takes: up to a blank behind the first `depth` letters, all of them,
/// or as many as fit.
fn break_at(letters: &[(char, Style)], columns: usize, depth: usize) -> usize {
    let mut used = 0;
    let fitting = letters.iter().position(|(letter, _)| {
        used += letter_width(*letter);
        used > columns
    });
    let Some(fitting) = fitting else { return letters.len() };
    let blank = letters.iter().take(fitting + 1).rposition(|(letter, _)| *letter == ' ');
    blank.filter(|place| *place > depth).unwrap_or(fitting).max(1)
}

/// Breaks spans into lines: at blanks, and within words that are longer than a line. A `None` is a forced break. The
/// first line begins with `first`, the others with `rest`.
pub(crate) fn wrapped(spans: &[Option<Span>], columns: usize, first: &Line, rest: &Line) -> Vec<Line> {
    let mut wrapper = Wrapper::new(columns, first, rest);
    for span in spans {
        match span {
            Some(span) => wrapper.take(span),
            None => wrapper.break_line(),
        }
    }
    wrapper.finish()
}

struct Wrapper<'a> {
    columns: usize,
    rest: &'a Line,
    lines: Vec<Line>,
    line: Line,
    /// Columns of the line that are used, its beginning included.
    used: usize,
    /// Whether the line holds nothing but its beginning.
    fresh: bool,
    blank: Option<Style>,
    word: Line,
}

impl<'a> Wrapper<'a> {
    fn new(columns: usize, first: &Line, rest: &'a Line) -> Self {
        // Text needs a little room, however deep it stands.
        let columns = columns.max(rest.width() + 8).max(first.width() + 8);
        Self {
            columns,
            rest,
            lines: Vec::new(),
            line: first.clone(),
            used: first.width(),
            fresh: true,
            blank: None,
            word: Line::default(),
        }
    }

    fn take(&mut self, span: &Span) {
        let mut pieces = span.text.split(' ').peekable();
        while let Some(piece) = pieces.next() {
            self.word.push(piece, span.style);
            if pieces.peek().is_some() {
                self.end_word();
                self.blank = Some(span.style);
            }
        }
    }

    fn end_word(&mut self) {
        let word = std::mem::take(&mut self.word);
        if word.is_empty() {
            return;
        }
        let blank = self.blank.take().filter(|_| !self.fresh);
        let wide = word.width();
        if self.used + usize::from(blank.is_some()) + wide <= self.columns {
            if let Some(style) = blank {
                self.line.push(" ", style);
                self.used += 1;
            }
        } else if !self.fresh {
            self.next_line();
        }
        self.place(&word);
    }

    /// Puts a word into the line, which may be too short for it.
    fn place(&mut self, word: &Line) {
        for span in &word.0 {
            let mut text = span.text.as_str();
            while !text.is_empty() {
                let fitting = prefix(text, self.columns.saturating_sub(self.used));
                if fitting.is_empty() {
                    self.next_line();
                    continue;
                }
                self.line.push(fitting, span.style);
                self.used += width(fitting);
                self.fresh = false;
                text = text.get(fitting.len()..).unwrap_or("");
            }
        }
    }

    fn next_line(&mut self) {
        self.lines.push(std::mem::replace(&mut self.line, self.rest.clone()));
        self.used = self.rest.width();
        self.fresh = true;
    }

    fn break_line(&mut self) {
        self.end_word();
        self.blank = None;
        self.next_line();
    }

    fn finish(mut self) -> Vec<Line> {
        self.end_word();
        if !self.fresh || self.lines.is_empty() {
            self.lines.push(self.line);
        }
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, columns: usize, expected: &[&str]) {
        let spans = [Some(Span::new(text, Style::new()))];
        let lines = wrapped(&spans, columns, &Line::plain("- "), &Line::plain("  "));
        assert_eq!(lines.iter().map(Line::text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn words_move_to_the_next_line_and_long_ones_are_cut() {
        check("one two three four", 12, &["- one two", "  three four"]);
        check("anextremelylongword x", 12, &["- anextremel", "  ylongword", "  x"]);
        check("日本語のテキスト", 10, &["- 日本語の", "  テキスト"]);
        check("", 12, &["-"]);
    }

    #[test]
    fn control_characters_become_marks() {
        let span = Span::new("a\u{1b}[2J\tb\nc\u{9b}d\u{202e}e\r", Style::new());
        assert_eq!(span.text(), "a\u{fffd}[2J    b c\u{fffd}d\u{fffd}e\u{fffd}");
    }

    fn check_folded(text: &str, columns: usize, expected: &[&str]) {
        assert_eq!(Line::plain(text).folded(columns).iter().map(Line::text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn long_lines_are_folded_between_words_and_keep_their_columns() {
        check_folded("fits", 4, &["fits"]);
        check_folded("error: no such file or directory", 16, &["error: no such", "  file or", "  directory"]);
        check_folded("  money   $0.0000  no limit", 20, &["  money   $0.0000", "    no limit"]);
        check_folded("    averyverylongword x", 10, &["    averyv", "     erylo", "     ngwor", "     d x"]);
        check_folded("", 4, &[""]);
    }

    proptest! {
        #[test]
        fn folded_lines_are_narrow_and_lose_no_letter(text in "[a-z日 ]{0,120}", columns in 8_usize..60) {
            let rows = Line::plain(&text).folded(columns);
            let letters = |text: &str| text.chars().filter(|letter| *letter != ' ').collect::<String>();
            prop_assert!(rows.iter().all(|row| row.width() <= columns), "{rows:?}");
            prop_assert_eq!(letters(&rows.iter().map(Line::text).collect::<String>()), letters(&text));
        }

        #[test]
        fn no_line_is_wider_than_asked_and_no_letter_is_lost(text in "[a-z日 ]{0,120}", columns in 12_usize..60) {
            let spans = [Some(Span::new(&text, Style::new()))];
            let lines = wrapped(&spans, columns, &Line::default(), &Line::plain("> "));
            let letters = |text: &str| text.chars().filter(|letter| !matches!(letter, ' ' | '>')).collect::<String>();
            prop_assert!(lines.iter().all(|line| line.width() <= columns), "{lines:?}");
            prop_assert_eq!(letters(&lines.iter().map(Line::text).collect::<String>()), letters(&text));
        }
    }
}
