//! The graph as a drawing: SVG in light and dark, without scripts and without anything from outside.
//!
//! What a service needs stands above it. Pointing at a service shows its edges alone.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    Graph,
    layout::{Area, Layout},
};
use crate::{
    model::{Condition, Fleet, Service, ServiceId},
    status::State,
};

/// Colours follow the reader's scheme; states are told by a mark too.
const STYLE: &str = "\
:root{--paper:#fff;--ink:#1d2330;--soft:#5d6678;--line:#c9cfdb;--host:#f4f6fa;--group:#fff;--box:#fff;--edge:#8590a6;\
--good:#d9f2df;--well:#1f7a3a;--warn:#fff0c2;--care:#8a5a00;--bad:#fbdcdc;--harm:#a61b1b;--busy:#dbeafe;--work:#1d4ed8}\
@media (prefers-color-scheme:dark){:root{--paper:#11141b;--ink:#e6e9f0;--soft:#9aa4b8;--line:#394152;\
--host:#171b25;--group:#1c212d;--box:#232a38;--edge:#6d7890;--good:#16331f;--well:#7fdb9a;--warn:#3b2f0c;--care:#f2c94c;\
--bad:#431c1c;--harm:#ff9b9b;--busy:#172a4d;--work:#8ab4ff}}\
svg{background:var(--paper);font:13px system-ui,sans-serif;fill:var(--ink)}\
.host{fill:var(--host);stroke:var(--line)}.group{fill:var(--group);stroke:var(--line)}\
.service rect{fill:var(--box);stroke:var(--edge);stroke-width:1.2}\
.service.well rect{fill:var(--good);stroke:var(--well)}.service.care rect{fill:var(--warn);stroke:var(--care)}\
.service.harm rect{fill:var(--bad);stroke:var(--harm)}.service.work rect{fill:var(--busy);stroke:var(--work)}\
.service.rest rect{stroke-dasharray:3 3}\
.title{font-size:17px;font-weight:600}.name{font-size:14px;font-weight:600}.small{font-size:11px;fill:var(--soft)}\
.edge{fill:none;stroke:var(--edge);stroke-width:1.1;opacity:.55}\
.edge.optional{stroke-dasharray:5 4}.edge.possible{stroke-dasharray:1 4}.edge.stands-in{stroke:var(--care);opacity:.9}\
.arrow{fill:var(--edge)}";

impl Graph {
    /// A drawing of the graph, with the states of services where they are known.
    #[must_use]
    pub fn svg(&self, fleet: &Fleet, states: &BTreeMap<ServiceId, State>) -> String {
        let layout = Layout::of(self, fleet);
        let (width, height) = (layout.width, layout.height);
        let name = escape(&fleet.name);
        let summary = format!("{} services on {} hosts", self.services.len(), layout.hosts.len());
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             role=\"img\" aria-labelledby=\"title summary\">\n<title id=\"title\">Fleet {name}</title>\n\
             <desc id=\"summary\">{summary}; an arrow leads from a service to who needs it.</desc>\n\
             <style>{STYLE}{}</style>\n\
             <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
             orient=\"auto\"><path class=\"arrow\" d=\"M0 0 8 4 0 8z\"/></marker></defs>\n\
             <text class=\"title\" x=\"24\" y=\"29\">{name}</text>\
             <text class=\"small\" x=\"{}\" y=\"29\" text-anchor=\"end\">{summary}</text>\n",
            self.hover(),
            width - 24,
        );
        for (host, area) in &layout.hosts {
            frame(&mut text, "host", "name", host, *area);
        }
        for (group, area) in &layout.groups {
            frame(&mut text, "group", "small", group, *area);
        }
        self.draw_edges(&mut text, &layout);
        for service in &fleet.services {
            if let (Some(area), Some(number)) = (layout.services.get(&service.id), self.number(&service.id)) {
                draw_service(&mut text, number, service, *area, states.get(&service.id).copied());
            }
        }
        text.push_str("</svg>\n");
        text
    }

    /// Rules by which the edges of the service under the pointer stay, and the others fade.
    fn hover(&self) -> String {
        let mut rules = String::from("svg:has(.service:hover) .edge{opacity:.08}");
        for number in 0..self.services.len() {
            let _ = write!(rules, "svg:has(#s{number}:hover) .e{number}{{opacity:1;stroke-width:2}}");
        }
        rules
    }

    fn draw_edges(&self, text: &mut String, layout: &Layout) {
        for (edge, possible) in self.all_edges() {
            let (Some(start), Some(end)) = (layout.services.get(&edge.to), layout.services.get(&edge.from)) else {
                continue;
            };
            let (Some(from), Some(to)) = (self.number(&edge.from), self.number(&edge.to)) else { continue };
            let mut class = format!("edge e{from} e{to}");
            let mut add = |when: bool, name: &str| {
                if when {
                    class.push(' ');
                    class.push_str(name);
                }
            };
            add(possible, "possible");
            add(!possible && !edge.required, "optional");
            add(!possible && edge.to != edge.asked, "stands-in");
            let when = match edge.condition {
                Condition::Started => "is started",
                Condition::Ready => "is ready",
                Condition::Completed => "has come to its end",
            };
            let said = if possible {
                format!("{} could stand in for {} for {}", edge.to, edge.asked, edge.from)
            } else if edge.to != edge.asked {
                format!("{} stands in for {} for {}", edge.to, edge.asked, edge.from)
            } else {
                format!("{} starts when {} {when}", edge.from, edge.to)
            };
            let _ = writeln!(
                text,
                "<path class=\"{class}\" marker-end=\"url(#arrow)\" d=\"{}\"><title>{}</title></path>",
                curve(*start, *end),
                escape(&said)
            );
        }
    }
}

/// From the lower side of one box to the upper side of another one.
fn curve(start: Area, end: Area) -> String {
    let (x1, y1) = (start.x + start.width / 2, start.y + start.height);
    let (x2, y2) = (end.x + end.width / 2, end.y);
    let bend = y2.abs_diff(y1).max(60) / 2;
    format!("M{x1} {y1}C{x1} {} {x2} {} {x2} {y2}", y1 + bend, y2.saturating_sub(bend))
}

fn frame(text: &mut String, class: &str, label: &str, name: &str, area: Area) {
    let Area { x, y, width, height } = area;
    let _ = writeln!(
        text,
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"10\"/>\
         <text class=\"{label}\" x=\"{}\" y=\"{}\">{}</text>",
        x + 12,
        y + 18,
        escape(&fitting(name, width / 7)),
    );
}

fn draw_service(text: &mut String, number: usize, service: &Service, area: Area, state: Option<State>) {
    let Area { x, y, width, height } = area;
    let (class, mark) = state.map_or(("", ""), look);
    let mut said = service.id.to_string();
    for part in [state.map(|state| state.word().to_owned()), service.description.clone()].into_iter().flatten() {
        said.push_str(": ");
        said.push_str(&part);
    }
    let below = [service.port.map(|port| format!(":{port}")), state.map(|state| format!("{mark} {}", state.word()))];
    let below: Vec<_> = below.into_iter().flatten().collect();
    let _ = writeln!(
        text,
        "<g class=\"service {class}\" id=\"s{number}\"><title>{}</title>\
         <rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>\
         <text x=\"{}\" y=\"{}\">{}</text><text class=\"small\" x=\"{}\" y=\"{}\">{}</text></g>",
        escape(&said),
        x + 10,
        y + 15,
        escape(&fitting(&service.id.name, 23)),
        x + 10,
        y + 28,
        escape(&below.join(" · ")),
    );
}

/// How a state looks: a class of the style, and a mark for those who see no colours.
fn look(state: State) -> (&'static str, &'static str) {
    match state {
        State::Ready | State::Completed => ("well", "✓"),
        State::Degraded | State::Substituted => ("care", "!"),
        State::Failed => ("harm", "✗"),
        State::Blocked | State::Starting | State::Waiting | State::Stopping => ("work", "…"),
        State::Declared | State::Stopped => ("rest", "–"),
    }
}

/// The text, cut where it would leave its box.
fn fitting(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Text between tags and in attributes. Characters that XML cannot hold become `�`.
fn escape(text: &str) -> String {
    let escape = |character: char| match character {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\t' | '\n' | '\r' => " ".to_owned(),
        control if control.is_control() || matches!(control, '\u{fffe}' | '\u{ffff}') => "\u{fffd}".to_owned(),
        other => other.to_string(),
    };
    text.chars().map(escape).collect()
}
