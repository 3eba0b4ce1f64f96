//! Hosts, groups and services.

use masque_app::fleet::{
    model::ServiceId,
    status::{HostStatus, Reach, ServiceStatus, State},
};
use masque_types::time::Timestamp;
use ratatui::{
    Frame,
    layout::Rect,
    style::Modifier,
    text::{Line, Span},
    widgets::Paragraph,
};

use super::{bold, dim, symbol};
use crate::{
    fleet_screen::{
        model::{Model, Row},
        text::{clean, padded},
    },
    render::style,
};

/// Columns of a service's line beside its name: depth, symbol, state, age.
const BESIDE: usize = 4 + 2 + 12 + 5;

/// Columns in which nothing of a service is cut.
pub(super) fn width(model: &Model) -> u16 {
    u16::try_from(longest(&model.rows()) + BESIDE + 1).unwrap_or(u16::MAX)
}

fn longest(rows: &[Row<'_>]) -> usize {
    let names = rows.iter().map(|row| match row {
        Row::Service(service) => clean(&service.id.name).chars().count(),
        Row::Host(..) | Row::Group(..) => 0,
    });
    names.max().unwrap_or(0)
}

pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, area: Rect) {
    let rows = model.rows();
    let height = usize::from(area.height);
    let place = model.place(&rows).unwrap_or(0);
    // The selected line stays in the middle as far as the ends allow.
    let first = place.saturating_sub(height / 2).min(rows.len().saturating_sub(height));
    let names = longest(&rows).min(usize::from(area.width).saturating_sub(BESIDE));
    let now = model.status.as_ref().map(|status| status.at).unwrap_or_default();
    let lines = rows.iter().enumerate().skip(first).take(height).map(|(at, row)| {
        let line = line(model, row, names, now);
        if at == place { padded(line, area.width).patch_style(Modifier::REVERSED) } else { line }
    });
    let lines: Vec<Line<'_>> = lines.collect();
    if lines.is_empty() && !model.filter.is_empty() {
        return frame.render_widget(Paragraph::new(Line::styled(" nothing passes the filter", dim())), area);
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn line<'a>(model: &Model, row: &Row<'a>, names: usize, now: Timestamp) -> Line<'a> {
    match row {
        Row::Host(host, is_folded) => self::host(model, host, *is_folded),
        Row::Group(host, group, is_folded) => {
            let of_group = |service: &&ServiceStatus| service.group.as_deref() == Some(group);
            let (usable, all) = usable(host.services.iter().filter(of_group));
            let name = Span::styled(format!("  {} {}", mark(*is_folded), clean(group)), bold());
            Line::from(vec![name, Span::styled(format!(" {usable}/{all}"), dim())])
        }
        Row::Service(service) => self::service(model, service, names, now),
    }
}

fn host<'a>(model: &Model, host: &'a HostStatus, is_folded: bool) -> Line<'a> {
    let (usable, all) = usable(host.services.iter());
    let name = Span::styled(format!("{} {}", mark(is_folded), clean(&host.host)), bold());
    let count = Span::styled(format!(" {usable}/{all}"), dim());
    let reach = match host.reach {
        Reach::Here => Span::raw(""),
        Reach::Connected => Span::styled(format!(" connected, {} old", style::duration(host.age)), dim()),
        Reach::Lost => Span::styled(format!(" ✗ lost, {} old", style::duration(host.age)), model.warning()),
        Reach::Unknown => Span::styled(" ? not heard of yet", model.warning()),
    };
    Line::from(vec![name, count, reach])
}

fn service<'a>(model: &Model, service: &'a ServiceStatus, names: usize, now: Timestamp) -> Line<'a> {
    let (state, colour) = (service.state, model.colour(service.state));
    let name: String = clean(&service.id.name).chars().take(names).collect();
    let (depth, beside) = if service.group.is_some() { (4, 0) } else { (2, 2) };
    Line::from(vec![
        Span::styled(format!("{:depth$}{} ", "", symbol(state)), colour),
        Span::raw(format!("{name:<names$} {:beside$}", "")),
        Span::styled(format!("{:<11}", state.word()), colour),
        Span::styled(format!(" {:>4}", style::age(now, service.since)), dim()),
        Span::styled(stand_in(service.substituted_by.as_ref()), dim()),
    ])
}

fn stand_in(other: Option<&ServiceId>) -> String {
    other.map(|other| format!(" ⇄ {}", clean(&other.name))).unwrap_or_default()
}

fn usable<'a>(services: impl Iterator<Item = &'a ServiceStatus>) -> (usize, usize) {
    // A standby that nobody needs is not missing.
    let wanted = services.filter(|service| service.state != State::Declared);
    wanted.fold((0, 0), |(usable, all), service| (usable + usize::from(service.state.is_usable()), all + 1))
}

const fn mark(is_folded: bool) -> char {
    if is_folded { '▸' } else { '▾' }
}
