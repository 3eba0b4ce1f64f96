//! The graph as text for Graphviz and Mermaid.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Edge, Graph};
use crate::{
    model::{Condition, Fleet, Service, ServiceId},
    status::State,
};

impl Graph {
    /// The graph in the DOT language of Graphviz: groups as clusters within their hosts.
    #[must_use]
    pub fn dot(&self, fleet: &Fleet, states: &BTreeMap<ServiceId, State>) -> String {
        let mut text = format!(
            "digraph {} {{\n  rankdir=TB\n  node [shape=box, style=\"rounded,filled\", fillcolor=white, fontname=\"sans-serif\"]\n",
            quoted(&fleet.name)
        );
        for (cluster, ((host, group), members)) in by_group(fleet).into_iter().enumerate() {
            let title = group.map_or_else(|| host.to_owned(), |group| format!("{host}: {group}"));
            let _ = writeln!(text, "  subgraph cluster_{cluster} {{\n    label={}", quoted(&title));
            for service in members {
                let _ = writeln!(text, "    {}", dot_node(service, states.get(&service.id)));
            }
            text.push_str("  }\n");
        }
        for (edge, possible) in self.all_edges() {
            let _ = writeln!(text, "  {} -> {}{}", quoted(&edge.to), quoted(&edge.from), dot_style(edge, possible));
        }
        text.push_str("}\n");
        text
    }

    /// The graph as a Mermaid flow chart.
    #[must_use]
    pub fn mermaid(&self, fleet: &Fleet, states: &BTreeMap<ServiceId, State>) -> String {
        let mut text = "flowchart TD\n".to_owned();
        for (number, ((host, group), members)) in by_group(fleet).into_iter().enumerate() {
            let title = group.map_or_else(|| host.to_owned(), |group| format!("{host}: {group}"));
            let _ = writeln!(text, "  subgraph g{number}[\"{}\"]", mermaid_text(&title));
            for service in members {
                let Some(node) = self.number(&service.id) else { continue };
                let _ = writeln!(text, "    s{node}[\"{}\"]", mermaid_text(&label(service, states.get(&service.id))));
            }
            text.push_str("  end\n");
        }
        for (edge, possible) in self.all_edges() {
            let (Some(from), Some(to)) = (self.number(&edge.to), self.number(&edge.from)) else { continue };
            let arrow = if possible || !edge.required { "-.->" } else { "-->" };
            let _ = writeln!(text, "  s{from} {arrow} s{to}");
        }
        text
    }

    /// All edges, and whether each comes true only if some service fails.
    pub(super) fn all_edges(&self) -> impl Iterator<Item = (&Edge, bool)> {
        let possible = self.fallback_edges.iter().map(|edge| (edge, true));
        self.edges.iter().map(|edge| (edge, false)).chain(possible)
    }
}

/// The services by host and group, in the order of the fleet.
fn by_group(fleet: &Fleet) -> BTreeMap<(&str, Option<&str>), Vec<&Service>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for service in &fleet.services {
        groups.entry((service.id.host.as_str(), service.group.as_deref())).or_default().push(service);
    }
    groups
}

fn label(service: &Service, state: Option<&State>) -> String {
    let port = service.port.map(|port| format!(" :{port}")).unwrap_or_default();
    let state = state.map(|state| format!(" ({})", state.word())).unwrap_or_default();
    format!("{}{port}{state}", service.id.name)
}

fn dot_node(service: &Service, state: Option<&State>) -> String {
    let color = match state {
        None => "white",
        Some(State::Ready | State::Completed) => "palegreen",
        Some(State::Degraded | State::Substituted) => "khaki",
        Some(State::Failed) => "lightcoral",
        Some(State::Blocked | State::Starting | State::Waiting | State::Stopping) => "lightblue",
        Some(State::Declared | State::Stopped) => "lightgrey",
    };
    format!("{} [label={}, fillcolor={color}]", quoted(&service.id), quoted(label(service, state)))
}

fn dot_style(edge: &Edge, possible: bool) -> String {
    let mut options = Vec::new();
    if possible {
        options.push("style=dotted");
    } else if !edge.required {
        options.push("style=dashed");
    }
    if !possible && edge.to != edge.asked {
        options.push("color=orange");
    }
    match edge.condition {
        Condition::Started => options.push("arrowhead=empty"),
        Condition::Completed => options.push("arrowhead=box"),
        Condition::Ready => {}
    }
    if options.is_empty() { String::new() } else { format!(" [{}]", options.join(", ")) }
}

/// A quoted string of DOT.
fn quoted(text: impl std::fmt::Display) -> String {
    let text = text.to_string().replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace(['\n', '\r'], " "))
}

/// Text in Mermaid's quotes; it knows entities by number.
fn mermaid_text(text: &str) -> String {
    let escape = |character: char| match character {
        '"' | '#' | '<' | '>' | '&' | '`' | '\\' => format!("#{};", u32::from(character)),
        control if control.is_control() => " ".to_owned(),
        other => other.to_string(),
    };
    text.chars().map(escape).collect()
}
