//! Tables: columns as wide as their cells, narrower ones where the terminal has no room, and one line for each cell
//! where it has still less.
//!
//! Leaves out where a table stands.

use anstyle::Style;
use pulldown_cmark::Alignment;

use super::{super::text::wrapped, Line};
use crate::{
    chat::text::Span,
    render::style::{BOLD, DIM},
};

/// Columns between two cells: ` │ `.
const GAP: usize = 3;
/// No column becomes narrower.
const NARROWEST: usize = 6;

type Cell = Vec<Option<Span>>;

/// A table while it is read.
pub(super) struct Table {
    alignments: Vec<Alignment>,
    rows: Vec<Vec<Cell>>,
    row: Vec<Cell>,
}

impl Table {
    pub(super) fn new(alignments: Vec<Alignment>) -> Self {
        Self { alignments, rows: Vec::new(), row: Vec::new() }
    }

    pub(super) fn cell(&mut self, cell: Cell) {
        self.row.push(cell);
    }

    pub(super) fn end_row(&mut self) {
        self.rows.push(std::mem::take(&mut self.row));
    }

    /// The lines of the table; the first row is its head.
    pub(super) fn lines(&self, room: usize) -> Vec<Line> {
        let columns = self.alignments.len();
        let fits = columns * NARROWEST + columns.saturating_sub(1) * GAP <= room;
        if fits { self.grid(&self.widths(room)) } else { self.records(room) }
    }

    /// Takes columns from the widest ones until the table fits.
    fn widths(&self, room: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = (0..self.alignments.len())
            .map(|column| self.rows.iter().filter_map(|row| row.get(column)).map(width).max().unwrap_or(0).max(1))
            .collect();
        let room = room.saturating_sub(widths.len().saturating_sub(1) * GAP);
        let mut too_many = widths.iter().sum::<usize>().saturating_sub(room);
        while too_many > 0 {
            let Some(widest) = widths.iter_mut().max() else { break };
            *widest -= 1;
            too_many -= 1;
        }
        widths
    }

    fn grid(&self, widths: &[usize]) -> Vec<Line> {
        let mut lines = Vec::new();
        for (place, row) in self.rows.iter().enumerate() {
            lines.extend(self.grid_row(row, widths, place == 0));
            if place == 0 {
                let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
                lines.push(Line::styled(&rule.join("─┼─"), DIM));
            }
        }
        lines
    }

    fn grid_row(&self, row: &[Cell], widths: &[usize], is_head: bool) -> Vec<Line> {
        let nothing = Cell::new();
        let cells: Vec<Vec<Line>> = widths
            .iter()
            .enumerate()
            .map(|(place, width)| narrow(row.get(place).unwrap_or(&nothing), *width, is_head))
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        let row_line = |at: usize| {
            let mut line = Line::default();
            for (place, (cell, width)) in cells.iter().zip(widths).enumerate() {
                if place > 0 {
                    line.push(" │ ", DIM);
                }
                let alignment = self.alignments.get(place).copied().unwrap_or(Alignment::None);
                aligned(&mut line, cell.get(at).unwrap_or(&Line::default()), *width, alignment);
            }
            line
        };
        (0..height).map(row_line).collect()
    }

    /// `head: cell`, one under the other, rows apart.
    fn records(&self, room: usize) -> Vec<Line> {
        let Some((head, rows)) = self.rows.split_first() else { return Vec::new() };
        let mut lines = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            if place > 0 {
                lines.push(Line::default());
            }
            for (name, cell) in head.iter().zip(row) {
                let name: String = name.iter().flatten().map(Span::text).collect();
                let mut first = Line::styled(&format!("{name}: "), BOLD);
                if first.width() > room / 2 {
                    lines.push(std::mem::replace(&mut first, Line::plain("  ")));
                }
                lines.extend(wrapped(cell, room, &first, &Line::plain("  ")));
            }
        }
        lines
    }
}

fn width(cell: &Cell) -> usize {
    cell.iter().flatten().map(|span| super::super::text::width(span.text())).sum()
}

/// A cell in so many columns.
fn narrow(cell: &Cell, columns: usize, is_head: bool) -> Vec<Line> {
    let nothing = Line::default();
    // Wrapping keeps room for at least eight columns; what is narrower is cut by hand.
    let lines = wrapped(cell, columns, &nothing, &nothing);
    let lines =
        lines.into_iter().flat_map(|line| if line.width() <= columns { vec![line] } else { cut(&line, columns) });
    lines.map(|line| if is_head { Line::styled(&line.text(), BOLD) } else { line }).collect()
}

fn cut(line: &Line, columns: usize) -> Vec<Line> {
    let text = line.text();
    let mut rest = text.as_str();
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let piece = super::super::text::prefix(rest, columns.max(2));
        lines.push(Line::plain(piece));
        rest = rest.get(piece.len()..).unwrap_or("");
    }
    lines
}

fn aligned(line: &mut Line, cell: &Line, columns: usize, alignment: Alignment) {
    let free = columns.saturating_sub(cell.width());
    let before = match alignment {
        Alignment::Right => free,
        Alignment::Center => free / 2,
        Alignment::Left | Alignment::None => 0,
    };
    line.push(&" ".repeat(before), Style::new());
    line.extend(cell);
    line.push(&" ".repeat(free - before), Style::new());
}
