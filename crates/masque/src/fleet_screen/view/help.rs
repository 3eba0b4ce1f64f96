//! What keys and symbols mean.

use masque_app::fleet::status::State;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{bold, symbol};
use crate::fleet_screen::model::Model;

const KEYS: [(&str, &str); 11] = [
    ("↑ ↓ k j", "move; page up, page down, home, end"),
    ("g enter", "fold or unfold a host or group"),
    ("/", "show services with a word only"),
    ("r", "restart; asks first"),
    ("s", "stop; asks first"),
    ("u", "start, with what is needed"),
    ("l", "logs on the whole screen"),
    ("esc", "show all again"),
    ("?", "this"),
    ("q ctrl-c", "leave; the fleet runs on"),
    ("", ""),
];

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let keys =
        KEYS.map(|(keys, what)| Line::from(vec![Span::styled(format!("  {keys:<10}"), bold()), Span::raw(what)]));
    let states = State::ALL.map(|state| {
        Line::from(vec![
            Span::styled(format!("  {} {:<12}", symbol(state), state.word()), model.colour(state)),
            Span::raw(meaning(state)),
        ])
    });
    let height = u16::try_from(keys.len()).unwrap_or(area.height);
    // Low windows show both beside each other as far as they are wide.
    if area.height < height + u16::try_from(states.len()).unwrap_or(0) && area.width >= super::WIDE {
        let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
        frame.render_widget(Paragraph::new(keys.to_vec()), left);
        return frame.render_widget(Paragraph::new(states.to_vec()), right);
    }
    frame.render_widget(Paragraph::new([keys.to_vec(), states.to_vec()].concat()), area);
}

const fn meaning(state: State) -> &'static str {
    match state {
        State::Declared => "nobody wants it to run yet",
        State::Blocked => "waits for what it needs",
        State::Starting => "runs, and is not ready yet",
        State::Ready => "can be used",
        State::Degraded => "runs, but not well",
        State::Stopping => "was asked to end",
        State::Stopped => "ended because somebody wanted it",
        State::Waiting => "ended by itself, starts again soon",
        State::Completed => "a task that is done",
        State::Failed => "was given up",
        State::Substituted => "another one stands in",
    }
}
