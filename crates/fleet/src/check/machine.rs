//! Memory, limits, images and devices.

use std::collections::BTreeMap;

use masque_types::diagnostic::Severity;

use super::{Entry, Report, Rule, Scene};
use crate::{
    export::{Origin, Unit, has_image, units},
    model::{Container, Limits, Service},
};

pub(super) fn check(scene: &Scene<'_>, report: &mut Report) {
    memory(scene, report);
    limits(scene, report);
    images(scene, report);
    for (name, container) in containers(scene) {
        devices(scene, name, container, report);
        sources(scene, name, container, report);
    }
}

fn memory(scene: &Scene<'_>, report: &mut Report) {
    for (name, host) in &scene.fleet.hosts {
        let here = scene.world.host.as_ref() == Some(name);
        let seen = scene.world.memory_bytes.filter(|_| here);
        let Some(memory) = seen.or(host.memory_bytes) else { continue };
        let with_fleet = |service: &&Service| service.start == crate::model::Start::Always;
        let services = scene.fleet.services_of(name).filter(with_fleet);
        let sum = services.filter_map(|service| service.limits.memory_bytes).fold(0_u64, u64::saturating_add);
        if sum > memory {
            let message = format!("the services of host `{name}` may use {}, and it has {}", shown(sum), shown(memory));
            let hint = "lower their `limits.memory`, or move some to another host";
            report.warning(Rule::Memory, None, message, hint);
        }
        for service in scene.fleet.services_of(name) {
            let more = service.limits.memory_bytes.filter(|bytes| *bytes > memory);
            if let Some(bytes) = more {
                let message = format!("may use {}, and its host has {}", shown(bytes), shown(memory));
                report.warning(Rule::Memory, Some(&service.id), message, "lower its `limits.memory`");
            }
        }
    }
}

/// Bytes as people read them.
fn shown(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "it is shown with one decimal")]
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes >= 1024.0 { format!("{:.1} GiB", mebibytes / 1024.0) } else { format!("{mebibytes:.1} MiB") }
}

/// A limit: its word, and whether a service has it.
type Limit = (&'static str, fn(&Limits) -> bool);

const LIMITS: [Limit; 3] = [
    ("memory", |limits| limits.memory_bytes.is_some()),
    ("cpus", |limits| limits.milli_cpus.is_some()),
    ("processes", |limits| limits.processes.is_some()),
];

fn limits(scene: &Scene<'_>, report: &mut Report) {
    let Some(enforceable) = scene.world.enforceable.as_ref().filter(|_| scene.world.host.is_some()) else { return };
    for (name, is_set) in LIMITS.into_iter().filter(|(name, _)| !enforceable.contains(*name)) {
        let limited: Vec<_> = scene.services_here().filter(|service| is_set(&service.limits)).collect();
        let (must, may): (Vec<&Service>, Vec<&Service>) =
            limited.into_iter().partition(|service| service.limits.enforce);
        for service in must {
            let message = format!("its limit of {name} cannot be enforced here, so it would not start");
            let hint = "run the supervisor as root or in a delegated cgroup, or set `enforce = false`";
            report.error(Rule::Limit, Some(&service.id), message, hint);
        }
        if let Some(first) = may.first() {
            let others = may.len() - 1;
            let who = if others == 0 { format!("`{}`", first.id) } else { format!("`{}` and {others} more", first.id) };
            let message = format!("the limit of {name} of {who} cannot be enforced here");
            let hint = "run the supervisor as root or in a delegated cgroup";
            report.warning(Rule::Limit, None, message, hint);
        }
    }
}

/// The containers of groups that run on this machine.
fn containers<'a>(scene: &Scene<'a>) -> BTreeMap<&'a str, &'a Container> {
    let groups = scene.services_here().filter_map(|service| service.group.as_ref());
    let found = groups.filter_map(|name| Some((name.as_str(), scene.fleet.groups.get(name)?.container.as_ref()?)));
    found.collect()
}

/// Images that have to be there: of services and of groups whose containers start from them.
fn images(scene: &Scene<'_>, report: &mut Report) {
    let Some(images) = &scene.world.images else { return };
    let is_here = |unit: &Unit<'_>| unit.services.iter().any(|service| scene.world.is_here(service));
    for unit in units(scene.fleet).into_iter().filter(is_here) {
        let (severity, image) = match unit.origin() {
            Origin::Written => continue,
            Origin::Made => (Severity::Warning, unit.container.base.as_ref()),
            Origin::Elsewhere => (Severity::Error, Some(&unit.image)),
        };
        let Some(image) = image.filter(|image| !has_image(images, image)) else { continue };
        let hint = format!("get it with `podman pull {image}`");
        let (service, message) = match unit.only() {
            Some(service) => (Some(&service.id), format!("the engine does not have its image `{image}`")),
            None => (None, format!("group `{}`: the engine does not have the image `{image}`", unit.own_group())),
        };
        report.add(severity, Rule::MissingImage, service, (message, hint));
    }
}

fn devices(scene: &Scene<'_>, group: &str, container: &Container, report: &mut Report) {
    for device in &container.devices {
        let path = device.split(':').next().unwrap_or_default();
        let lost = match path.starts_with('/') {
            true => scene.world.entry(path.as_ref()) == Some(Entry::Absent),
            // Such a name is declared in a file of the Container Device Interface.
            false => {
                ["/etc/cdi", "/var/run/cdi"].iter().all(|one| scene.world.entry(one.as_ref()) == Some(Entry::Absent))
            }
        };
        if lost {
            let message = format!("group `{group}`: this machine has no device `{device}`");
            report.error(Rule::MissingDevice, None, message, "install its driver, or remove it from `devices`");
        }
    }
}

/// Files that go into the image or are mounted.
fn sources(scene: &Scene<'_>, group: &str, container: &Container, report: &mut Report) {
    let volumes = container.volumes.iter().filter_map(|volume| volume.split(':').next());
    let mounted = volumes.filter(|source| source.starts_with(['.', '/'])).map(std::path::PathBuf::from);
    let copied = container.copy.keys().cloned().chain(container.requirements.clone());
    let copied = copied.filter(|path| !path.to_string_lossy().contains('*'));
    for (what, path) in copied.map(|path| ("copied", path)).chain(mounted.map(|path| ("mounted", path))) {
        let file = scene.fleet.directory.join(&path);
        if scene.world.entry(&file) == Some(Entry::Absent) {
            let message = format!("group `{group}`: `{}` is to be {what} and is not there", path.display());
            report.warning(Rule::MissingFile, None, message, "make it, or correct its path");
        }
    }
}
