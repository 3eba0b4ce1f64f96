//! Needs: circles, services that do not exist, conditions that never come true, fallbacks; and names and groups.

use std::collections::{BTreeMap, BTreeSet};

use masque_types::diagnostic::Severity;

use super::{Report, Rule, Scene, StandIn, Substitution};
use crate::{
    graph::Resolution,
    model::{Condition, Dependency, Fallback, Kind, RestartPolicy, Service, ServiceId, Start},
};

pub(super) fn check(scene: &Scene<'_>, report: &mut Report) {
    names(scene, report);
    groups(scene, report);
    for cycle in scene.graph.cycles() {
        let more = cycle.entangled.saturating_sub(cycle.path.len());
        let more = if more == 0 { String::new() } else { format!(" ({more} more services are entangled with it)") };
        let hint = "remove one of these dependencies, or make it one that is looked up when it is used";
        report.error(Rule::Cycle, cycle.path.first(), format!("waits for itself: {cycle}{more}"), hint);
    }
    for cycle in scene.graph.cycles_through_fallbacks() {
        let message = format!("would wait for itself if a fallback is used: {cycle}");
        report.warning(
            Rule::CycleByFallback,
            cycle.path.first(),
            message,
            "choose a fallback that needs none of these",
        );
    }
    for service in &scene.fleet.services {
        needs(scene, service, report);
        kind(service, report);
        fallbacks(scene, service, report);
    }
    standbys(scene, report);
    substitutions(scene, report);
}

fn names(scene: &Scene<'_>, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for service in &scene.fleet.services {
        if !seen.insert(&service.id) {
            let message = format!("host `{}` has two services of this name", service.id.host);
            report.error(Rule::DuplicateName, Some(&service.id), message, "rename one, or move it to another host");
        }
        if !scene.fleet.hosts.contains_key(&service.id.host) {
            let hint = format!("describe it under [hosts.{}]{}", service.id.host, {
                meant(&service.id.host, scene.fleet.hosts.keys())
            });
            report.error(Rule::UnknownHost, Some(&service.id), "its host is not in the fleet", hint);
        }
    }
}

fn groups(scene: &Scene<'_>, report: &mut Report) {
    let mut hosts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for service in &scene.fleet.services {
        let Some(group) = service.group.as_deref() else { continue };
        hosts.entry(group).or_default().insert(&service.id.host);
        if !scene.fleet.groups.contains_key(group) {
            let hint = format!("describe it under [groups.{group}]{}", meant(group, scene.fleet.groups.keys()));
            report.error(Rule::UnknownGroup, Some(&service.id), format!("its group `{group}` is not there"), hint);
        }
    }
    for (group, hosts) in hosts.iter().filter(|(_, hosts)| hosts.len() > 1) {
        let hosts: Vec<_> = hosts.iter().copied().collect();
        let message = format!("group `{group}` is on several hosts: {}", hosts.join(", "));
        report.error(Rule::DividedGroup, None, message, "make it one group for each host");
    }
}

fn needs(scene: &Scene<'_>, service: &Service, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for dependency in &service.dependencies {
        let on = &dependency.on;
        if !seen.insert(on) {
            let message = format!("needs `{on}` twice");
            report.warning(Rule::RepeatedDependency, Some(&service.id), message, "keep one of them");
        }
        match scene.roster.service(on) {
            None => undefined(scene, service, dependency, report),
            Some(_) if !scene.roster.is_there(on) => unmet(scene, service, dependency, report),
            Some(needed) => condition(service, dependency, needed, report),
        }
    }
}

fn undefined(scene: &Scene<'_>, service: &Service, dependency: &Dependency, report: &mut Report) {
    let on = &dependency.on;
    let known: Vec<String> = scene.fleet.services.iter().flat_map(|other| names_of(service, other)).collect();
    let covered = !dependency.required || scene.roster.resolve(dependency) != Resolution::Nobody;
    let near = meant(&on.name, known.iter());
    let message = format!("needs `{on}`, which is not in the fleet");
    if !covered {
        let hint = format!("add it, declare a fallback for it, or set `required = false`{near}");
        report.error(Rule::UndefinedDependency, Some(&service.id), message, hint);
    } else if !near.is_empty() {
        let hint = format!("correct the name, unless it is missing on purpose{near}");
        report.warning(Rule::UndefinedDependency, Some(&service.id), message, hint);
    }
}

/// How a dependant could have named a service: the bare name means its own host first.
fn names_of(dependant: &Service, other: &Service) -> Vec<String> {
    if other.id == dependant.id { Vec::new() } else { vec![other.id.name.clone(), other.id.to_string()] }
}

fn unmet(scene: &Scene<'_>, service: &Service, dependency: &Dependency, report: &mut Report) {
    if dependency.required && scene.roster.resolve(dependency) == Resolution::Nobody {
        let message = format!("needs `{}`, which cannot be started", dependency.on);
        let hint = "mend that service, declare a fallback for it, or set `required = false`";
        report.error(Rule::UnmetDependency, Some(&service.id), message, hint);
    }
}

fn condition(service: &Service, dependency: &Dependency, needed: &Service, report: &mut Report) {
    let id = Some(&service.id);
    let on = &dependency.on;
    match (dependency.condition, needed.kind) {
        (Condition::Completed, Kind::Service) => {
            let message = format!("waits for the end of `{on}`, which is a service and runs on");
            let hint = format!("set `kind = \"task\"` for `{on}`, or wait for \"ready\"");
            report.error(Rule::ImpossibleCondition, id, message, hint);
        }
        (Condition::Ready, Kind::Task) if needed.ready.is_none() => {
            let message = format!("waits until `{on}` is ready, which is a task without a probe");
            report.warning(Rule::ImpossibleCondition, id, message, "wait for \"completed\"");
        }
        _ => {}
    }
    if needed.start == Start::Standby {
        let message = format!("needs `{on}`, which is a standby and starts only for others");
        let hint = "name it as fallback of the service it stands in for, or let it start with the fleet";
        report.warning(Rule::ImpossibleCondition, id, message, hint);
    }
}

fn kind(service: &Service, report: &mut Report) {
    if service.kind == Kind::Task && service.restart.policy == RestartPolicy::Always {
        let message = "is a task that is always restarted, so it never comes to its end";
        report.error(
            Rule::ImpossibleCondition,
            Some(&service.id),
            message,
            "set `restart = \"on-failure\"` or \"never\"",
        );
    }
}

fn fallbacks(scene: &Scene<'_>, service: &Service, report: &mut Report) {
    let lists = service.dependencies.iter().map(|need| (&need.on, &need.fallback));
    for (asked, fallbacks) in lists.chain([(&service.id, &service.fallback)]) {
        for (place, fallback) in fallbacks.iter().enumerate() {
            let Fallback::Service(id) = fallback else { continue };
            let id_of = Some(&service.id);
            if id == asked {
                report.error(Rule::FallbackCycle, id_of, format!("`{id}` is its own fallback"), "name another one");
            } else if !scene.roster.is_there(id) {
                let exists = scene.roster.service(id).is_some();
                let what = if exists { "cannot be started" } else { "is not in the fleet" };
                let others = place + 1 < fallbacks.len();
                let severity = if others { Severity::Warning } else { Severity::Error };
                let near = meant(&id.name, scene.fleet.services.iter().map(|other| &other.id.name));
                let hint = format!("add it, or name another fallback{near}");
                report.add(
                    severity,
                    Rule::MissingFallback,
                    id_of,
                    (format!("the fallback `{id}` of `{asked}` {what}"), hint),
                );
            }
        }
    }
    if let Some(circle) = fallback_circle(scene, &service.id) {
        let path: Vec<_> = circle.iter().map(ToString::to_string).collect();
        let message = format!("fallbacks lead in a circle: {} → {}", path.join(" → "), service.id);
        let hint = "when all of them fail, nobody is left: end the chain with another one or with variables";
        report.warning(Rule::FallbackCycle, Some(&service.id), message, hint);
    }
}

/// The way from a service over fallbacks back to it, told once: for the smallest id of the circle.
fn fallback_circle<'a>(scene: &Scene<'a>, start: &'a ServiceId) -> Option<Vec<&'a ServiceId>> {
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        let last = scene.roster.service(way.last().copied()?);
        for fallback in last.map_or(&[][..], |service| &service.fallback) {
            match fallback {
                Fallback::Service(id) if id == start && way.len() > 1 => {
                    return way.iter().all(|other| *other >= start).then_some(way);
                }
                Fallback::Service(id) if id != start && seen.insert(id) => {
                    ways.push(way.iter().copied().chain([id]).collect());
                }
                _ => {}
            }
        }
    }
    None
}

fn standbys(scene: &Scene<'_>, report: &mut Report) {
    let of = |service: &'_ Service| -> Vec<ServiceId> {
        let lists = service.dependencies.iter().map(|need| &need.fallback).chain([&service.fallback]);
        let named = lists.flatten().filter_map(|fallback| match fallback {
            Fallback::Service(id) => Some(id.clone()),
            Fallback::Environment(_) => None,
        });
        named.chain(service.dependencies.iter().map(|need| need.on.clone())).collect()
    };
    let named: BTreeSet<_> = scene.fleet.services.iter().flat_map(of).collect();
    for service in &scene.fleet.services {
        if service.start == Start::Standby && !named.contains(&service.id) {
            let hint = "name it as a fallback, or let it start with the fleet";
            report.warning(Rule::UnusedStandby, Some(&service.id), "is a standby that nobody names", hint);
        }
    }
}

/// Who is missing: services that do not exist and are needed, and services that cannot be started.
fn substitutions(scene: &Scene<'_>, report: &mut Report) {
    let undefined = scene.fleet.services.iter().flat_map(|service| &service.dependencies).map(|need| &need.on);
    let undefined: BTreeSet<_> = undefined.filter(|id| scene.roster.service(id).is_none()).collect();
    let why = "it is not in the fleet".to_owned();
    let missing = scene.missing.iter().map(|(id, why)| (*id, why.clone()));
    let missing = undefined.into_iter().map(|id| (id, why.clone())).chain(missing);
    for (id, why) in missing {
        report.substitutions.extend(instead(scene, id, &why));
    }
}

/// What happens instead of a missing service: dependants may have fallbacks of their own.
fn instead(scene: &Scene<'_>, id: &ServiceId, why: &str) -> Vec<Substitution> {
    let mut found: Vec<Substitution> = Vec::new();
    let mut add = |by: StandIn, dependant: Option<&ServiceId>| {
        let place = found.iter().position(|substitution| substitution.by == by);
        match place.and_then(|place| found.get_mut(place)) {
            Some(known) => known.dependants.extend(dependant.cloned()),
            None => found.push(Substitution {
                missing: id.clone(),
                why: why.to_owned(),
                by,
                dependants: dependant.into_iter().cloned().collect(),
            }),
        }
    };
    let own = scene.fleet.services.iter().find(|service| service.id == *id);
    if let Some(own) = own {
        match scene.roster.stand_in_for(&own.id) {
            Resolution::Nobody if own.required => {}
            other => add(stand_in(other), None),
        }
    }
    for service in scene.fleet.services.iter().filter(|service| scene.roster.is_there(&service.id)) {
        for need in service.dependencies.iter().filter(|need| need.on == *id) {
            let resolved = scene.roster.resolve(need);
            if resolved != Resolution::Nobody || !need.required {
                add(stand_in(resolved), Some(&service.id));
            }
        }
    }
    found
}

fn stand_in(resolution: Resolution<'_>) -> StandIn {
    match resolution {
        Resolution::Itself(id) | Resolution::Service(id) => StandIn::Service(id.clone()),
        Resolution::Environment(variables) => StandIn::Environment(variables.clone()),
        Resolution::Nobody => StandIn::Nobody,
    }
}

/// A question whether another name was meant; empty when none is near.
fn meant<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let near = known.map(|other| (strsim::jaro_winkler(&name.to_lowercase(), &other.to_lowercase()), other));
    let best = near.filter(|(score, _)| *score >= 0.88).max_by(|first, other| first.0.total_cmp(&other.0));
    best.map_or_else(String::new, |(_, other)| format!(" (did you mean `{other}`?)"))
}
