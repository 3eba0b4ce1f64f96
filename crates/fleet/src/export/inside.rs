//! The fleet as the supervisors inside of the containers read it: [`inside`].

use std::path::{Path, PathBuf};

use super::{
    frame::json,
    names::slug,
    units::{Content, Unit, units},
};
use crate::model::{Check, Command, Container, Fleet, Service};

/// Where the fleet's description stands inside of every container.
pub const MANIFEST: &str = "/etc/masque/fleet.json";
/// Where Masque keeps its data inside: a volume that all containers of a host share, over which they see each other.
pub const HOME: &str = "/var/lib/masque";
/// Where the fleet's directory is inside, unless `copy` says something else.
pub(super) const ROOT: &str = "/app";

/// The fleet with the paths of its supervised services as they are in their images: the fleet's directory is `/app`,
/// and what `copy` names is where it is copied to. Services without a group
/// get one of their own, named as their container. As JSON it is what [`MANIFEST`] holds.
#[must_use]
pub fn inside(fleet: &Fleet) -> Fleet {
    let mut moved = fleet.clone();
    moved.directory = PathBuf::from(ROOT);
    moved.sources = vec![PathBuf::from(MANIFEST)];
    moved.roots = fleet.roots.iter().map(|root| relocated(root, fleet, &Container::default())).collect();
    for unit in units(fleet).iter().filter(|unit| unit.content == Content::Supervised) {
        for service in &unit.services {
            if let Some(own) = moved.services.iter_mut().find(|own| own.id == service.id) {
                relocate(own, fleet, &unit.container);
                // The supervisor inside is told its part by a group.
                own.group = Some(unit.own_group().to_owned());
                moved.groups.entry(unit.own_group().to_owned()).or_default();
            }
        }
    }
    moved
}

/// The name of the file that an export writes for the supervisor of a container.
pub(super) fn description_name(unit: &Unit<'_>) -> String {
    match unit.network {
        None => "fleet.json".to_owned(),
        Some(_) => format!("fleet.{}.json", unit.name),
    }
}

/// The fleet as the supervisor of one container reads it, as JSON. In a network of their own, services of other
/// containers are found by their address there.
#[must_use]
pub fn description(fleet: &Fleet, unit: &Unit<'_>) -> String {
    let mut moved = inside(fleet);
    let others = units(fleet).into_iter().filter(|other| other.name != unit.name && other.host == unit.host);
    for other in others.filter(|other| other.network.is_some() && unit.network.is_some()) {
        for (service, alias) in other.services.iter().zip(other.services.iter().map(|service| slug(&service.id.name))) {
            if let Some(known) = moved.services.iter_mut().find(|known| known.id == service.id) {
                known.listen = Some(other.container.address.clone().unwrap_or(alias));
            }
        }
    }
    json(&moved)
}

fn relocate(service: &mut Service, fleet: &Fleet, container: &Container) {
    let program = &mut service.program;
    program.directory = relocated(&program.directory, fleet, container);
    let old = program.script_file.take();
    program.script_file = old.as_ref().map(|file| relocated(file, fleet, container));
    if let Command::Exec(words) = &mut program.command {
        for word in words.iter_mut().filter(|word| Path::new(word.as_str()).is_absolute()) {
            let path = relocated(Path::new(word.as_str()), fleet, container);
            *word = path.to_string_lossy().into_owned();
        }
    }
    for probe in [&mut service.ready, &mut service.live].into_iter().flatten() {
        if let Check::File(path) = &mut probe.check {
            *path = relocated(path, fleet, container);
        }
    }
}

/// Where a path of the machine is inside; the same when it is not below the fleet's directory.
fn relocated(path: &Path, fleet: &Fleet, container: &Container) -> PathBuf {
    let Ok(relative) = path.strip_prefix(&fleet.directory) else { return path.to_owned() };
    let copied = container.copy.iter().filter_map(|(from, to)| {
        let rest = relative.strip_prefix(from.strip_prefix(".").unwrap_or(from)).ok()?;
        Some((from.components().count(), joined(to, rest)))
    });
    let deepest = copied.max_by_key(|(depth, _)| *depth);
    deepest.map_or_else(|| joined(Path::new(ROOT), relative), |(_, path)| path)
}

/// Joins without a `/` at the end.
fn joined(path: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { path.to_owned() } else { path.join(rest) }
}
