//! Probes: whether each service is seen by one of its own.

use std::collections::BTreeMap;

use super::{Report, Rule, Scene, network::ports};
use crate::model::{Check, Kind, Probe, Service};

pub(super) fn check(scene: &Scene<'_>, report: &mut Report) {
    let silent = unseen(scene, report);
    for service in silent {
        let port = service.port.unwrap_or_default();
        let message = format!("has port {port} and no probe, so it counts as ready as soon as it is started");
        report.warning(Rule::NoProbe, Some(&service.id), message, "declare `ready`, at least `ready = { tcp = true }`");
    }
    for service in &scene.fleet.services {
        for (what, probe) in probes(service) {
            unheard(service, what, probe, report);
            destination(scene, service, what, probe, report);
        }
    }
}

fn probes(service: &Service) -> impl Iterator<Item = (&'static str, &Probe)> {
    let named = [("ready", service.ready.as_ref()), ("live", service.live.as_ref())];
    named.into_iter().filter_map(|(what, probe)| Some((what, probe?)))
}

/// Services with a port and without a probe; those of a group in which one probe stands for all are told at once.
fn unseen<'a>(scene: &Scene<'a>, report: &mut Report) -> Vec<&'a Service> {
    let silent =
        |service: &&Service| service.kind == Kind::Service && service.port.is_some() && service.ready.is_none();
    let mut groups: BTreeMap<Option<&str>, Vec<&Service>> = BTreeMap::new();
    for service in scene.fleet.services.iter().filter(silent) {
        groups.entry(service.group.as_deref()).or_default().push(service);
    }
    let mut alone = Vec::new();
    for (group, silent) in groups {
        let seen = |service: &&Service| service.group.as_deref() == group && service.ready.is_some();
        let seen: Vec<_> = scene.fleet.services.iter().filter(seen).collect();
        match (group, seen.as_slice()) {
            (Some(group), [only]) if silent.len() > 1 => {
                let names: Vec<_> = silent.iter().map(|service| service.id.name.as_str()).collect();
                let message = format!(
                    "group `{group}`: the probe of `{}` stands for {} services; nobody sees {}",
                    only.id.name,
                    silent.len() + 1,
                    names.join(", ")
                );
                report.warning(Rule::OneProbeForGroup, None, message, "declare `ready` for each of them");
            }
            _ => alone.extend(silent),
        }
    }
    alone
}

/// Probes by which a service speaks to a supervisor, where it has none.
fn unheard(service: &Service, what: &str, probe: &Probe, report: &mut Report) {
    let name = match &probe.check {
        Check::Notify => "notify",
        Check::Descriptor => "fd",
        _ => return,
    };
    if service.program.image.is_some() {
        let message = format!("its {what} probe is `{name}`, and no supervisor hears it in an image of its own");
        let hint = "use `log`, `exec`, `file` or a probe that asks a port";
        report.error(Rule::NoProbe, Some(&service.id), message, hint);
    }
}

/// Where a probe asks, when it asks over the network.
fn target(check: &Check) -> Option<(&str, Option<u16>)> {
    let (host, port) = check.address()?.rsplit_once(':')?;
    Some((host.trim_matches(['[', ']']), port.parse().ok()))
}

fn destination(scene: &Scene<'_>, service: &Service, what: &str, probe: &Probe, report: &mut Report) {
    let Some((address, port)) = target(&probe.check) else { return };
    let Some(port) = port.filter(|port| *port > 0) else {
        let message = format!("its {what} probe asks `{address}` without a port");
        report.error(Rule::UndeclaredProbe, Some(&service.id), message, "give its port, or declare `port`");
        return;
    };
    if matches!(address, "0.0.0.0" | "::") {
        let message = format!("its {what} probe asks {address}:{port}, which is no destination");
        report.warning(Rule::Address, Some(&service.id), message, "ask 127.0.0.1 instead");
    }
    if ports(service).contains_key(&port) {
        return;
    }
    let host = asked_host(scene, service, address);
    let other = scene.fleet.services_of(host).find(|other| ports(other).contains_key(&port));
    match other {
        Some(other) => {
            let message = format!("its {what} probe asks port {port}, which is that of `{}`", other.id);
            let hint = "probe a port of its own: another service's answer says nothing about it";
            report.error(Rule::ForeignProbe, Some(&service.id), message, hint);
        }
        None => {
            let message = format!("its {what} probe asks port {port}, which no service declares");
            let hint = format!("declare it, for instance `ports = {{ health = {port} }}`, or correct the probe");
            report.warning(Rule::UndeclaredProbe, Some(&service.id), message, hint);
            shared(scene, service, port, report);
        }
    }
}

/// The host whose service answers at an address.
fn asked_host<'a>(scene: &Scene<'a>, service: &'a Service, address: &str) -> &'a str {
    let found = scene.fleet.hosts.iter().find(|(_, host)| host.address.as_deref() == Some(address));
    found.map_or(&service.id.host, |(name, _)| name)
}

/// An undeclared port that two services ask: at most one of them can be behind it.
fn shared(scene: &Scene<'_>, service: &Service, port: u16, report: &mut Report) {
    let asks = |other: &&Service| {
        let asked = |(_, probe): (_, &Probe)| target(&probe.check).is_some_and(|(_, asked)| asked == Some(port));
        other.id != service.id && probes(other).any(asked)
    };
    if let Some(other) = scene.fleet.services_of(&service.id.host).take_while(|other| other.id != service.id).find(asks)
    {
        let message = format!("its probe asks port {port}, and so does that of `{}`", other.id);
        report.error(Rule::ForeignProbe, Some(&service.id), message, "give each service a health port of its own");
    }
}
