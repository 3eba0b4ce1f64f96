//! Tables: separated values, and rows as Markdown. Leaves out workbooks.

use crate::{Found, Limits, text::one_line_of_any_length};

/// Rows under one header before it is said again: a chunk that is cut out of a long table still has its header near.
const ROWS_PER_HEADER: usize = 200;

/// A table being written as Markdown, the first row as header.
#[derive(Debug, Default)]
pub(crate) struct Table {
    header: Option<Vec<String>>,
    rows: usize,
    written: String,
}

impl Table {
    /// Adds a row; the first is the header. Empty rows are left out, empty cells at the end too.
    pub(crate) fn row<C: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = C>) {
        let mut cells: Vec<String> = cells.into_iter().map(|cell| cell_text(cell.as_ref())).collect();
        while cells.last().is_some_and(String::is_empty) {
            cells.pop();
        }
        if cells.is_empty() {
            return;
        }
        let Some(header) = &self.header else {
            self.write_header(&cells);
            self.header = Some(cells);
            return;
        };
        if self.rows > 0 && self.rows.is_multiple_of(ROWS_PER_HEADER) {
            let header = header.clone();
            self.written.push('\n');
            self.write_header(&header);
        }
        self.rows += 1;
        self.write(&cells);
    }

    /// Bytes written so far.
    pub(crate) const fn len(&self) -> usize {
        self.written.len()
    }

    /// The Markdown.
    pub(crate) fn finish(self) -> String {
        self.written
    }

    fn write_header(&mut self, cells: &[String]) {
        self.write(cells);
        self.written.push_str(&format!("|{}\n", " --- |".repeat(cells.len())));
    }

    fn write(&mut self, cells: &[String]) {
        for cell in cells {
            self.written.push_str("| ");
            self.written.push_str(cell);
            self.written.push(' ');
        }
        self.written.push_str("|\n");
    }
}

/// Text in one cell.
fn cell_text(text: &str) -> String {
    one_line_of_any_length(text).replace('|', "\\|")
}

/// Reads separated values. Rows that are not well-formed are taken as far as they go.
pub(crate) fn read(text: &str, delimiter: u8, limits: &Limits) -> Found {
    let delimiter = if delimiter == b',' { likely_delimiter(text) } else { delimiter };
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text.as_bytes());
    let mut table = Table::default();
    for record in reader.records().map_while(Result::ok) {
        if table.len() > limits.text_bytes {
            break;
        }
        table.row(record.iter());
    }
    Found { text: table.finish(), ..Found::default() }
}

/// Programs of some countries write semicolons into files that are named after commas.
fn likely_delimiter(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    let count = |mark: char| first.matches(mark).count();
    [(b';', ';'), (b'\t', '\t')]
        .into_iter()
        .find(|(_, mark)| count(*mark) > count(','))
        .map_or(b',', |(delimiter, _)| delimiter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separated_values_become_a_table() {
        let check = |text: &str, expected: &str| assert_eq!(read(text, b',', &Limits::default()).text, expected);
        check("name,note\nada,\"a | b\nc\"\n\nbob\n", "| name | note |\n| --- | --- |\n| ada | a \\| b c |\n| bob |\n");
        check("a;b\n1,5;2", "| a | b |\n| --- | --- |\n| 1,5 | 2 |\n");
        check("", "");
    }

    #[test]
    fn a_long_table_says_its_header_again() {
        let rows: String = (0..450).map(|n| format!("{n},x\n")).collect();
        let text = read(&format!("n,v\n{rows}"), b',', &Limits::default()).text;
        assert_eq!(text.matches("| n | v |").count(), 3);
        assert_eq!(text.matches("| x |").count(), 450);
    }
}
