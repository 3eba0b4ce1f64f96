//! The fleet as the supervisors inside of the containers read it: [`inside`].

use std::{collections::BTreeMap, path::PathBuf};

use super::{
    frame::json,
    names::slug,
    relocation::Relocation,
    units::{Content, Unit, units},
};
use crate::model::{Container, Fleet, Service, ServiceId};

/// Where the fleet's description stands inside of every container.
pub const MANIFEST: &str = "/etc/masque/fleet.json";
/// Where Masque keeps its data inside: a volume that all containers of a host share, over which they see each other.
pub const HOME: &str = "/var/lib/masque";
/// Where the fleet's directory is inside, unless `copy` says something else.
pub(super) const ROOT: &str = "/app";

/// The fleet with the paths of its supervised services as they are in their images: the fleet's directory is `/app`,
/// and what `copy` names is where it is copied to, also where commands, probes and variables name them. Services without
/// a group get one of their own, named as their container.
#[must_use]
pub fn inside(fleet: &Fleet) -> Fleet {
    let mut moved = fleet.clone();
    moved.directory = PathBuf::from(ROOT);
    moved.sources = vec![PathBuf::from(MANIFEST)];
    let usual = Relocation::of(fleet, &Container::default());
    moved.roots = fleet.roots.iter().map(|root| usual.path(root)).collect();
    for unit in units(fleet).iter().filter(|unit| unit.content == Content::Supervised) {
        let relocation = Relocation::of(fleet, &unit.container);
        for service in &unit.services {
            if let Some(own) = moved.services.iter_mut().find(|own| own.id == service.id) {
                relocation.service(own);
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

/// The fleet as the supervisor of one container reads it, as JSON: what [`MANIFEST`] holds. In a network of their own,
/// services of other containers are found by their address there.
#[must_use]
pub fn description(fleet: &Fleet, unit: &Unit<'_>) -> String {
    let mut moved = inside(fleet);
    let others = units(fleet).into_iter().filter(|other| other.name != unit.name && other.host == unit.host);
    for other in others.filter(|other| other.network.is_some() && unit.network.is_some()) {
        for (service, alias) in other.services.iter().zip(other.services.iter().map(|service| slug(&service.id.name))) {
            if let Some(known) = moved.services.iter_mut().find(|known| known.id == service.id) {
                known.listen = Some(other.container.address.clone().unwrap_or(alias));
                known.port = known.port.map(|port| other.port_inside(port));
            }
        }
    }
    leave_to_the_engine(&mut moved);
    json(&moved)
}

/// Takes the services with images of their own out of what a supervisor waits for: no supervisor could say where they
/// stand. The engine has them started before the containers that need them; whoever needs one finds it in its
/// environment, as if a supervisor had told it.
pub(super) fn leave_to_the_engine(fleet: &mut Fleet) {
    let alone = |service: &&mut Service| service.program.image.is_some();
    let left: BTreeMap<ServiceId, Option<String>> = fleet
        .services
        .iter_mut()
        .filter(alone)
        .map(|service| {
            // A supervisor takes all services of its group for its own.
            service.group = None;
            (service.id.clone(), address(service))
        })
        .collect();
    for service in fleet.services.iter_mut().filter(|service| service.program.image.is_none()) {
        let is_left = |on: &ServiceId| on.host == service.id.host && left.contains_key(on);
        let dependencies = std::mem::take(&mut service.dependencies);
        let (engines, own): (Vec<_>, Vec<_>) = dependencies.into_iter().partition(|dependency| is_left(&dependency.on));
        service.dependencies = own;
        for on in engines.into_iter().map(|dependency| dependency.on) {
            let name = on.variable();
            let told = left.get(&on).cloned().flatten().map(|address| (name.clone(), address));
            for (name, value) in told.into_iter().chain([(format!("{name}_SERVICE"), on.to_string())]) {
                service.program.environment.entry(name).or_insert(value);
            }
        }
    }
}

/// Where a service of the same host is reached.
fn address(service: &Service) -> Option<String> {
    let listen = service.listen.as_deref().filter(|listen| !matches!(*listen, "0.0.0.0" | "::" | ""));
    let (address, port) = (listen.unwrap_or("127.0.0.1"), service.port?);
    Some(if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") })
}
