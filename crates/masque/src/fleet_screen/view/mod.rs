//! A [`Model`] as a picture. Pure: the same model and size give the same picture.

mod details;
mod help;
mod logs;
mod tree;

use masque_app::fleet::status::{FleetStatus, State};
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::Paragraph,
};

use super::model::{Mode, Model};

/// From this width on, tree and details stand beside each other.
const WIDE: u16 = 100;
/// Below this nothing useful can be shown.
const SMALLEST: (u16, u16) = (30, 8);

/// Draws the model.
pub(crate) fn draw(frame: &mut Frame<'_>, model: &Model) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        return frame.render_widget(Paragraph::new("window too small"), area);
    }
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    frame.render_widget(header(model), head);
    frame.render_widget(footer(model), foot);
    match model.mode {
        Mode::Logs => logs::draw(frame, model, body),
        Mode::Help => help::draw(frame, model, body),
        _ => parts(frame, model, body),
    }
}

fn parts(frame: &mut Frame<'_>, model: &Model, body: Rect) {
    let (tree, below) = if body.width >= WIDE {
        let width = tree::width(model).clamp(body.width * 2 / 5, body.width * 3 / 5);
        let [tree, right] = Layout::horizontal([Constraint::Length(width), Constraint::Fill(1)]).areas(body);
        (tree, right)
    } else {
        let [tree, below] = Layout::vertical([Constraint::Percentage(45), Constraint::Fill(1)]).areas(body);
        (tree, below)
    };
    let details_height = details::height(model, below.width).min(below.height.saturating_sub(3));
    let [details, logs] = Layout::vertical([Constraint::Length(details_height), Constraint::Fill(1)]).areas(below);
    tree::draw(frame, model, tree);
    details::draw(frame, model, details);
    logs::draw(frame, model, logs);
}

fn header(model: &Model) -> Line<'_> {
    let Some(status) = &model.status else {
        let waiting = model.away.as_deref().unwrap_or("asking the supervisor…");
        return Line::from(vec![Span::styled(" masque fleet ", bold()), Span::raw(super::text::clean(waiting))]);
    };
    let mut spans = vec![Span::styled(format!(" {} ", status.fleet), bold())];
    for (state, count) in counts(status) {
        let text = format!(" {} {count} {} ", symbol(state), state.word());
        spans.push(Span::styled(text, model.colour(state)));
    }
    if let Some(away) = &model.away {
        spans.push(Span::styled(format!(" {}", super::text::clean(away)), model.warning()));
    }
    Line::from(spans)
}

/// How many services are in which state; states without any are left out.
fn counts(status: &FleetStatus) -> Vec<(State, usize)> {
    let services = || status.hosts.iter().flat_map(|host| &host.services);
    let count = |state| (state, services().filter(|service| service.state == state).count());
    // What needs somebody comes first: a narrow window cuts the end.
    let order = [
        State::Failed,
        State::Degraded,
        State::Waiting,
        State::Substituted,
        State::Blocked,
        State::Starting,
        State::Ready,
        State::Stopping,
        State::Stopped,
        State::Completed,
        State::Declared,
    ];
    order.into_iter().map(count).filter(|(_, count)| *count > 0).collect()
}

const KEYS: &str = " q quit  ? help  / filter  r restart  s stop  u start  l logs  g fold";

fn footer(model: &Model) -> Line<'_> {
    match &model.mode {
        Mode::Confirm(step) => {
            Line::styled(format!(" {} {}? y: yes, any other key: no", step.verb.word(), step.name), model.warning())
        }
        Mode::Filter => Line::raw(format!(" /{}▏ enter: keep, esc: all", model.filter)),
        Mode::Logs => Line::styled(" ↑↓ look back  end: follow  l, esc: back", dim()),
        Mode::Help => Line::styled(" any key: back", dim()),
        Mode::Tree => match &model.message {
            Some(message) => Line::styled(format!(" {}", super::text::clean(message)), bold()),
            None if !model.filter.is_empty() => Line::raw(format!(" /{}  esc: all", model.filter)),
            None => Line::styled(KEYS, dim()),
        },
    }
}

const fn bold() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

const fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

fn symbol(state: State) -> char {
    crate::render::fleet::symbol(state)
}

impl Model {
    /// The style of a state. Its symbol and word say the same without colours.
    fn colour(&self, state: State) -> Style {
        let colour = match state {
            State::Ready | State::Completed => Color::Green,
            State::Starting | State::Stopping | State::Blocked => Color::Cyan,
            State::Degraded | State::Waiting | State::Substituted => Color::Yellow,
            State::Failed => Color::Red,
            State::Declared | State::Stopped => return dim(),
        };
        if self.is_coloured { Style::new().fg(colour) } else { Style::new() }
    }

    fn warning(&self) -> Style {
        if self.is_coloured { bold().fg(Color::Yellow) } else { bold() }
    }
}
