//! What is known of the selected service.

use std::time::Duration;

use masque_app::fleet::{
    model::ServiceId,
    status::{FleetStatus, ServiceStatus},
};
use ratatui::{
    Frame,
    layout::Rect,
    text::{Line, Span},
    widgets::{Block, Borders, Paragraph},
};

use super::{bold, dim, symbol};
use crate::{
    fleet_screen::{
        model::{Model, Spot},
        text::{clean, wrapped},
    },
    render::style,
};

/// Lines of reasons that are shown.
const MOST_WHY: usize = 4;

/// How many rows the details take, with their head.
pub(super) fn height(model: &Model, width: u16) -> u16 {
    u16::try_from(lines(model, width).len() + 1).unwrap_or(u16::MAX)
}

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let title = match &model.selected {
        Some(Spot::Service(id)) => format!(" {} ", clean(&id.to_string())),
        Some(Spot::Group(host, group)) => format!(" {} of {} ", clean(group), clean(host)),
        Some(Spot::Host(host)) => format!(" {} ", clean(host)),
        None => String::new(),
    };
    let block = Block::new().borders(Borders::TOP).border_style(dim()).title(Span::styled(title, bold()));
    frame.render_widget(Paragraph::new(lines(model, area.width)).block(block), area);
}

fn lines(model: &Model, width: u16) -> Vec<Line<'static>> {
    match (model.service(), &model.status) {
        (Some(service), Some(status)) => of_service(model, service, status, width),
        _ => summary(model),
    }
}

/// Of a host or group: how many are where.
fn summary(model: &Model) -> Vec<Line<'static>> {
    let services = model.status.iter().flat_map(|status| &status.hosts).flat_map(|host| &host.services);
    let is_in = |service: &&ServiceStatus| match &model.selected {
        Some(Spot::Host(host)) => service.id.host == *host,
        Some(Spot::Group(host, group)) => service.id.host == *host && service.group.as_ref() == Some(group),
        _ => false,
    };
    let not_usable = services.filter(is_in).filter(|service| !service.state.is_usable());
    let lines = not_usable.map(|service| {
        let why = service.why.first().map(|why| format!("  {}", clean(why))).unwrap_or_default();
        Line::from(vec![
            Span::styled(format!(" {} ", symbol(service.state)), model.colour(service.state)),
            Span::raw(clean(&service.id.name)),
            Span::styled(why, dim()),
        ])
    });
    let lines: Vec<Line<'_>> = lines.take(MOST_WHY).collect();
    if lines.is_empty() { vec![Line::styled(" everything can be used", dim())] } else { lines }
}

fn of_service(model: &Model, service: &ServiceStatus, status: &FleetStatus, width: u16) -> Vec<Line<'static>> {
    let state = service.state;
    let word = format!(" {} {}", symbol(state), state.word());
    let since = format!(" for {}", style::age(status.at, service.since));
    let mut lines = vec![Line::from(vec![Span::styled(word, model.colour(state)), Span::styled(since, dim())])];
    for why in service.why.iter().take(MOST_WHY) {
        lines.extend(wrapped(&clean(why), usize::from(width).saturating_sub(2)).into_iter().map(indented));
    }
    let mut notes = Vec::new();
    if !service.blocked_on.is_empty() {
        notes.push(format!("waits for {}", named(&service.blocked_on)));
    }
    if let Some(other) = &service.substituted_by {
        notes.push(format!("{other} stands in"));
    }
    notes.push(facts(service));
    if let Some(check) = &service.last_check {
        let word = if check.healthy { "healthy" } else { "not healthy" };
        notes.push(format!("last check: {word}, {} ({})", check.detail, precise(check.took)));
    }
    if let Some(end) = &service.last_end {
        notes.push(format!("last end: {end}"));
    }
    if service.dropped_bytes > 0 {
        notes.push(format!("{} bytes of its output were dropped", style::count(service.dropped_bytes)));
    }
    let notes = notes.iter().filter(|note| !note.is_empty());
    lines.extend(notes.flat_map(|note| wrapped(&clean(note), usize::from(width).saturating_sub(2))).map(indented));
    lines
}

fn indented(text: String) -> Line<'static> {
    Line::raw(format!(" {text}"))
}

fn facts(service: &ServiceStatus) -> String {
    let mut facts = Vec::new();
    facts.extend(service.pid.map(|pid| format!("pid {pid}")));
    facts.extend(service.port.map(|port| format!("port {port}")));
    facts.extend(service.memory_bytes.map(|bytes| format!("{} MiB", bytes >> 20)));
    facts.extend((service.restarts > 0).then(|| style::counted(u64::from(service.restarts), "restart", "restarts")));
    facts.extend(service.ready_after.map(|after| format!("ready after {}", style::duration(after))));
    facts.join(" · ")
}

/// Checks often take less than a millisecond.
fn precise(took: Duration) -> String {
    match took.as_micros() {
        micros @ ..1_000 => format!("{micros} µs"),
        _ => style::duration(took),
    }
}

fn named(ids: &[ServiceId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
