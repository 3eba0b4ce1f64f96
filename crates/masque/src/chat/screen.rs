//! The terminal's end: what is printed for good, and below it a few live lines that are drawn again.
//!
//! Live lines are drawn in place only on a terminal that can move its cursor; elsewhere they are left away. Only what
//! changed of them is written. Leaves out what the lines say.

use std::io::{self, Write};

use super::text::{Line, Looks};

/// Columns that are assumed where nobody can tell.
const COLUMNS: usize = 80;
/// Rows that are assumed where nobody can tell.
const ROWS: usize = 24;
/// Tells the terminal to show what follows at once; unknown to many, and then without effect.
const BEGIN: &str = "\u{1b}[?2026h";
const END: &str = "\u{1b}[?2026l";

/// What the terminal can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// Colours and other styles are wanted.
    pub(crate) colour: bool,
    /// The cursor can be moved.
    pub(crate) moves: bool,
}

/// Columns and rows of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// Writes lines to a terminal.
pub(crate) struct Screen<W> {
    out: W,
    abilities: Abilities,
    /// The live lines as they were drawn, already fitted.
    live: Vec<Line>,
    /// While somebody else draws: what is to be printed afterwards.
    held: Option<Vec<Line>>,
}

impl<W: Write> Screen<W> {
    pub(crate) fn new(out: W, abilities: Abilities) -> Self {
        Self { out, abilities, live: Vec::new(), held: None }
    }

    /// How to lay text out now.
    pub(crate) fn looks(&self, size: Size) -> Looks {
        Looks { width: size.columns, colour: self.abilities.colour }
    }

    /// Prints lines above the live ones, for good.
    pub(crate) fn print(&mut self, lines: &[Line], size: Size) {
        if lines.is_empty() {
            return;
        }
        if let Some(held) = &mut self.held {
            held.extend_from_slice(lines);
            return;
        }
        let live = std::mem::take(&mut self.live);
        let mut text = erased(&live, size);
        for line in lines {
            text.push_str(&line.written(self.abilities.colour));
            text.push('\n');
        }
        text.push_str(&self.joined(&live));
        self.live = live;
        self.write(&text);
    }

    /// Shows other live lines. Where they do not fit, their end is shown.
    pub(crate) fn set_live(&mut self, lines: Vec<Line>, size: Size) {
        if !self.abilities.moves || self.held.is_some() {
            return;
        }
        let lines = fitted(lines, size);
        if lines == self.live {
            return;
        }
        let same = self.live.iter().zip(&lines).take_while(|(old, new)| old == new).count();
        // The last line that stays is written again: the cursor has to stand behind a line.
        let keep = same.min(lines.len().saturating_sub(1)).min(self.live.len().saturating_sub(1));
        let (_, changed) = self.live.split_at(keep);
        let mut text = erased(changed, size);
        text.push_str(&self.joined(lines.get(keep..).unwrap_or_default()));
        self.live = lines;
        self.write(&text);
    }

    /// Takes the live lines away.
    pub(crate) fn clear_live(&mut self, size: Size) {
        let text = erased(&std::mem::take(&mut self.live), size);
        self.write(&text);
    }

    /// Leaves the terminal to somebody else; what is printed meanwhile comes afterwards.
    pub(crate) fn hold(&mut self, size: Size) {
        self.clear_live(size);
        self.held.get_or_insert_default();
    }

    /// Takes the terminal back.
    pub(crate) fn release(&mut self, size: Size) {
        let lines = self.held.take().unwrap_or_default();
        self.print(&lines, size);
    }

    /// Empties the terminal.
    pub(crate) fn clear(&mut self) {
        self.live.clear();
        if self.abilities.moves {
            self.write("\u{1b}[H\u{1b}[2J\u{1b}[3J");
        }
    }

    fn joined(&self, lines: &[Line]) -> String {
        lines.iter().map(|line| line.written(self.abilities.colour)).collect::<Vec<_>>().join("\n")
    }

    fn write(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        // A terminal that went away wants nothing more.
        let _ = match self.abilities.moves {
            true => write!(self.out, "{BEGIN}{text}{END}"),
            false => write!(self.out, "{text}"),
        };
        let _ = self.out.flush();
    }
}

/// What takes drawn lines away; the cursor stands at the end of the last one.
fn erased(lines: &[Line], size: Size) -> String {
    // After a change of the size, a line may take more rows than it was fitted to.
    let rows: usize = lines.iter().map(|line| line.rows(size.columns)).sum();
    match rows {
        0 => String::new(),
        1 => "\r\u{1b}[J".to_owned(),
        rows => format!("\u{1b}[{}A\r\u{1b}[J", rows - 1),
    }
}

/// Lines that take one row each; of too many, the last ones.
fn fitted(lines: Vec<Line>, size: Size) -> Vec<Line> {
    let most = size.rows.saturating_sub(2).max(1);
    let skipped = lines.len().saturating_sub(most);
    // A line as wide as the terminal would leave the cursor in the next row on some of them.
    lines.into_iter().skip(skipped).map(|line| line.clipped(size.columns.saturating_sub(1).max(1))).collect()
}

/// The size of the terminal on standard output now.
pub(crate) fn size() -> Size {
    let found = rustix::termios::tcgetwinsize(io::stdout()).ok();
    let given = |count: u16, otherwise: usize| if count == 0 { otherwise } else { usize::from(count) };
    found.map_or(Size { columns: COLUMNS, rows: ROWS }, |size| Size {
        columns: given(size.ws_col, COLUMNS),
        rows: given(size.ws_row, ROWS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { columns: 20, rows: 6 };

    fn check(moves: bool, actions: impl Fn(&mut Screen<&mut Vec<u8>>), expected: &str) {
        let mut out = Vec::new();
        actions(&mut Screen::new(&mut out, Abilities { colour: false, moves }));
        let text = String::from_utf8(out).unwrap().replace(BEGIN, "<").replace(END, ">").replace('\u{1b}', "^");
        assert_eq!(text, expected);
    }

    fn lines(texts: &[&str]) -> Vec<Line> {
        texts.iter().map(|text| Line::plain(text)).collect()
    }

    #[test]
    fn live_lines_stay_below_and_only_what_changed_is_drawn() {
        check(
            true,
            |screen| {
                screen.set_live(lines(&["a", "b"]), SIZE);
                screen.set_live(lines(&["a", "c"]), SIZE);
                screen.set_live(lines(&["a", "c"]), SIZE);
                screen.print(&lines(&["done"]), SIZE);
                screen.clear_live(SIZE);
            },
            "<a\nb><\r^[Jc><^[1A\r^[Jdone\na\nc><^[1A\r^[J>",
        );
    }

    #[test]
    fn what_does_not_fit_is_clipped_and_a_narrower_terminal_is_cleared_whole() {
        check(
            true,
            |screen| {
                screen.set_live(lines(&["1", "2", "3", "4", "a line wider than the terminal"]), SIZE);
                screen.clear_live(Size { columns: 10, rows: 6 });
            },
            "<2\n3\n4\na line wider than …><^[4A\r^[J>",
        );
    }

    #[test]
    fn a_plain_output_gets_lines_only_and_held_ones_come_later() {
        check(
            false,
            |screen| {
                screen.set_live(lines(&["spins"]), SIZE);
                screen.print(&lines(&["one"]), SIZE);
                screen.hold(SIZE);
                screen.print(&lines(&["two"]), SIZE);
                screen.release(SIZE);
            },
            "one\ntwo\n",
        );
    }
}
