//! Fleets: findings of the check, statuses, explanations, waves, chains.

use std::collections::{BTreeMap, BTreeSet};

use masque_app::fleet::{
    Chain, Explanation, LogLine, Place, Report, Rolled,
    graph::Graph,
    model::{Fleet, ServiceId},
    status::{FleetStatus, HostStatus, Reach, ServiceStatus, State},
};
use masque_types::time::Timestamp;

use super::{
    json, line, note,
    style::{self, BOLD, DIM, ERROR, GOOD, HINT, WARNING},
};

/// The colour of a state.
pub(crate) const fn color(state: State) -> anstyle::Style {
    match state {
        State::Ready | State::Completed => GOOD,
        State::Starting | State::Stopping | State::Blocked => HINT,
        State::Degraded | State::Waiting | State::Substituted => WARNING,
        State::Failed => ERROR,
        State::Declared | State::Stopped => DIM,
    }
}

/// The symbol of a state.
pub(crate) const fn symbol(state: State) -> char {
    match state {
        State::Ready => '●',
        State::Completed => '✓',
        State::Starting => '◐',
        State::Blocked => '◌',
        State::Stopping => '◑',
        State::Degraded => '◍',
        State::Waiting => '↻',
        State::Substituted => '⇄',
        State::Failed => '✗',
        State::Declared | State::Stopped => '○',
    }
}

/// What the check found, and what would stand in.
pub(crate) fn report(fleet: &Fleet, report: &Report) {
    for finding in &report.findings {
        line(&finding.to_string());
    }
    for substitution in &report.substitutions {
        line(&substitution.to_string());
    }
    let services = style::counted(fleet.services.len() as u64, "service", "services");
    match (report.errors(), report.findings.len() - report.errors()) {
        (0, 0) => note(&format!("{services}, nothing found")),
        (errors, warnings) => {
            let errors = style::counted(errors as u64, "error", "errors");
            let warnings = style::counted(warnings as u64, "warning", "warnings");
            note(&format!("{services}, {errors}, {warnings}"));
        }
    }
}

/// All services, by host and group.
pub(crate) fn status(status: &FleetStatus) {
    for host in &status.hosts {
        line(&head(host));
        let groups: BTreeSet<Option<&str>> = host.services.iter().map(|service| service.group.as_deref()).collect();
        let names = host.services.iter().map(|service| service.id.name.chars().count()).max().unwrap_or_default();
        for group in groups {
            let of_group = || host.services.iter().filter(|service| service.group.as_deref() == group);
            if let Some(group) = group {
                line(&format!("  {BOLD}{group}{BOLD:#} {DIM}{}{DIM:#}", count(of_group())));
            }
            let depth = if group.is_some() { 4 } else { 2 };
            of_group().for_each(|service| line(&service_line(service, depth, names, status.at)));
        }
    }
}

fn head(host: &HostStatus) -> String {
    let reach = match host.reach {
        Reach::Here => String::new(),
        Reach::Connected => format!(" {DIM}connected, {} old{DIM:#}", style::duration(host.age)),
        Reach::Lost => format!(" {WARNING}lost{WARNING:#} {DIM}{} ago{DIM:#}", style::duration(host.age)),
        Reach::Unknown => format!(" {WARNING}not heard of yet{WARNING:#}"),
    };
    format!("{BOLD}{}{BOLD:#} {}{reach}", host.host, count(host.services.iter()))
}

/// How many of how many can be used. A standby that nobody needs is not missing.
fn count<'a>(services: impl Iterator<Item = &'a ServiceStatus>) -> String {
    let wanted: Vec<&ServiceStatus> = services.filter(|service| service.state != State::Declared).collect();
    let usable = wanted.iter().filter(|service| service.state.is_usable()).count();
    format!("{usable}/{}", wanted.len())
}

fn service_line(service: &ServiceStatus, depth: usize, names: usize, now: Timestamp) -> String {
    let (state, mark) = (service.state, color(service.state));
    let mut facts = vec![style::age(now, service.since)];
    facts.extend(service.pid.map(|pid| format!("pid {pid}")));
    facts.extend(service.port.map(|port| format!("port {port}")));
    facts.extend(service.memory_bytes.map(megabytes));
    if service.restarts > 0 {
        facts.push(style::counted(u64::from(service.restarts), "restart", "restarts"));
    }
    if service.dropped_bytes > 0 {
        facts.push(format!("{} bytes of its output dropped", style::count(service.dropped_bytes)));
    }
    let why = match (&service.substituted_by, service.why.first()) {
        (Some(other), _) if state == State::Substituted => format!("  {other} stands in"),
        (_, Some(why)) if !matches!(state, State::Ready | State::Completed) => format!("  {}", style::harmless(why)),
        _ => String::new(),
    };
    let name = format!("{:<names$}", service.id.name);
    let word = format!("{:<11}", state.word());
    let facts = facts.join(", ");
    format!("{:depth$}{mark}{}{mark:#} {name}  {mark}{word}{mark:#} {DIM}{facts}{DIM:#}{why}", "", symbol(state))
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20)
}

/// Why a service is where it is.
pub(crate) fn explanation(explanation: &Explanation) {
    let service = &explanation.service;
    line(&standing(&service.id, Some(service.state)));
    for why in &service.why {
        line(&format!("  {}", style::harmless(why)));
    }
    if let Some(check) = &service.last_check {
        let word = if check.healthy { "healthy" } else { "not healthy" };
        let detail = match check.detail.as_str() {
            detail if detail == word => String::new(),
            detail => format!(", {}", style::harmless(detail)),
        };
        line(&format!("  last check: {word}{detail} {DIM}({}){DIM:#}", style::duration(check.took)));
    }
    if let Some(end) = &service.last_end {
        line(&format!("  last end: {end}"));
    }
    if !explanation.waits.is_empty() {
        line(&format!("{BOLD}waits for{BOLD:#}"));
    }
    for wait in &explanation.waits {
        line(&format!("{:depth$}{}", "", standing(&wait.id, wait.state), depth = wait.depth * 2));
        for why in &wait.why {
            line(&format!("{:depth$}{DIM}{}{DIM:#}", "", style::harmless(why), depth = wait.depth * 2 + 2));
        }
    }
    if !explanation.dependants.is_empty() {
        let names: Vec<String> = explanation.dependants.iter().map(ToString::to_string).collect();
        line(&style::folded(&format!("{BOLD}needed by{BOLD:#} {}", names.join(", ")), 100));
    }
    if !explanation.changes.is_empty() {
        line(&format!("{BOLD}changes{BOLD:#}"));
    }
    for change in &explanation.changes {
        let (mark, why) = (color(change.to), style::harmless(&change.why));
        line(&format!("  {DIM}{}{DIM:#} {mark}{:<11}{mark:#} {why}", style::date(change.at), change.to.word()));
    }
    if !explanation.printed.is_empty() {
        line(&format!("{BOLD}it printed{BOLD:#}"));
    }
    for printed in &explanation.printed {
        line(&format!("  {}", style::harmless(&printed.text)));
    }
}

fn standing(id: &ServiceId, state: Option<State>) -> String {
    match state {
        Some(state) => {
            let mark = color(state);
            format!("{mark}{}{mark:#} {id} {mark}{}{mark:#}", symbol(state), state.word())
        }
        None => format!("{WARNING}?{WARNING:#} {id} {DIM}nothing is known of it{DIM:#}"),
    }
}

/// That a fleet that was watched is down.
pub(crate) fn down(place: &Place) {
    note(&format!("fleet {} is down on {}", place.fleet.name, place.host));
}

/// What a rolling replacement did.
pub(crate) fn rolled(rolled: &Rolled) {
    if rolled.waves.is_empty() && rolled.halted.is_none() {
        return note("nothing had to be replaced");
    }
    for (place, wave) in rolled.waves.iter().enumerate() {
        line(&format!("wave {}: {}", place + 1, names(wave)));
    }
    if let Some(why) = &rolled.halted {
        line(&format!("{ERROR}halted{ERROR:#}: {}", style::harmless(why)));
        if !rolled.rolled_back.is_empty() {
            line(&format!("put back: {}", names(&rolled.rolled_back)));
        }
    }
}

fn names(ids: &[ServiceId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The services in the order in which they can start, those of one wave together.
pub(crate) fn waves(graph: &Graph, waves: &[Vec<ServiceId>], states: &BTreeMap<ServiceId, State>) {
    for (place, wave) in waves.iter().enumerate() {
        line(&format!("{BOLD}wave {}{BOLD:#}", place + 1));
        for id in wave {
            let needs: Vec<String> = graph.needs(id).map(|edge| edge.to.to_string()).collect();
            let needs =
                if needs.is_empty() { String::new() } else { format!(" {DIM}needs {}{DIM:#}", needs.join(", ")) };
            let standing = states.get(id).map_or_else(|| id.to_string(), |state| standing(id, Some(*state)));
            line(&format!("  {standing}{needs}"));
        }
    }
}

/// The services that decided how long a start took.
pub(crate) fn chain(chain: &Chain) {
    note(&format!("what decided the {}:", style::duration(chain.total)));
    for step in &chain.steps {
        let (offset, duration) = (style::duration(step.offset), style::duration(step.duration));
        note(&format!("  @{offset:<10} +{duration:<10} {}", step.id));
    }
}

/// Lines that services print, each with its name where there are several.
pub(crate) struct Lines {
    names: bool,
    json: bool,
}

impl Lines {
    pub(crate) const fn new(names: bool, json: bool) -> Self {
        Self { names, json }
    }

    pub(crate) fn show(&mut self, printed: &LogLine) {
        match (self.json, self.names) {
            (true, _) => json(printed),
            (false, true) => line(&format!("{BOLD}{}{BOLD:#} {}", printed.id.name, style::harmless(&printed.text))),
            (false, false) => line(&style::harmless(&printed.text)),
        }
    }
}
