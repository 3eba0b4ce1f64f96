//! What the selected service prints.

use masque_app::fleet::LogLine;
use masque_types::time::Timestamp;
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph},
};

use super::{bold, dim};
use crate::{
    fleet_screen::{
        model::{Logs, Model},
        text::{clean, wrapped},
    },
    render::style,
};

/// Columns of the time before a line.
const TIME: usize = 9;

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let logs = &model.logs;
    let Some(id) = &logs.of else { return };
    let mut title = vec![Span::styled(format!(" logs of {} ", clean(&id.name)), bold())];
    if logs.back > 0 {
        title.push(Span::styled(
            format!("{} back ", style::counted(logs.back as u64, "line", "lines")),
            model.warning(),
        ));
    }
    if logs.missed > 0 {
        title
            .push(Span::styled(format!("{} left out ", style::counted(logs.missed, "line", "lines")), model.warning()));
    }
    let block = Block::new().borders(Borders::TOP).border_style(dim()).title(Line::from(title));
    let inside = block.inner(area);
    let lines = match &logs.trouble {
        Some(why) if logs.lines.is_empty() => vec![Line::styled(format!(" {}", clean(why)), dim())],
        None if logs.lines.is_empty() => vec![Line::styled(" it has printed nothing", dim())],
        _ => last(logs, usize::from(inside.width), usize::from(inside.height)),
    };
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// The last rows that fit, each line broken where the window ends.
fn last(logs: &Logs, width: usize, height: usize) -> Vec<Line<'static>> {
    let mut rows: Vec<Line<'static>> = Vec::new();
    for line in logs.lines.iter().rev().skip(logs.back) {
        rows.extend(rows_of(line, width).into_iter().rev());
        if rows.len() >= height {
            break;
        }
    }
    rows.truncate(height);
    rows.reverse();
    rows
}

fn rows_of(line: &LogLine, width: usize) -> Vec<Line<'static>> {
    let pieces = wrapped(&clean(&line.text), width.saturating_sub(TIME));
    let rows = pieces.into_iter().enumerate().map(|(place, piece)| {
        let time = if place == 0 { clock(line.at) } else { String::new() };
        Line::from(vec![Span::styled(format!("{time:<TIME$}"), dim()), Span::raw(piece)])
    });
    rows.collect()
}

/// The time of day, UTC.
fn clock(at: Timestamp) -> String {
    let seconds = at.0.div_euclid(1000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
