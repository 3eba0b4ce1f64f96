//! From a unit of a fleet to the container that the engine is asked for. Pure.

use std::{collections::BTreeMap, path::PathBuf};

use masque_container::{Masque, Mount, MountSource, NetworkJoin, Port, Restart, ServiceSpec};
use masque_fleet::{
    export::{Content, HOME, MANIFEST, Source, Unit, description},
    graph::Graph,
    model::{Fleet, Published, RestartPolicy, Shared},
};
use masque_types::digest::Digest;

use super::DeploySpec;

/// Label with the fleet that a container belongs to.
pub(super) const FLEET_LABEL: &str = "io.masque.fleet";
/// Label with the digest of all that a container was made from.
const DEFINITION_LABEL: &str = "io.masque.definition";
/// Environment variable with the home of Masque.
const HOME_VARIABLE: &str = "MASQUE_HOME";

/// The units that are to be deployed, in the order of the fleet.
pub(super) fn units(spec: &DeploySpec) -> Vec<Unit<'_>> {
    let wanted = |unit: &Unit<'_>| {
        let in_group = || unit.group.is_some_and(|group| spec.groups.contains(group));
        unit.host == spec.host && (spec.groups.is_empty() || in_group())
    };
    masque_fleet::export::units(&spec.fleet).into_iter().filter(wanted).collect()
}

/// The name of a unit's container.
pub(super) fn container_name(fleet: &Fleet, unit: &Unit<'_>) -> String {
    fit(&format!("{}-{}", fleet.name, unit.name))
}

/// A name with nothing in it that engines refuse.
fn fit(name: &str) -> String {
    let fit = |letter: char| if letter.is_ascii_alphanumeric() || "_.-".contains(letter) { letter } else { '-' };
    name.chars().map(fit).collect::<String>().trim_start_matches(['-', '.', '_']).to_owned()
}

/// Where the description of a unit's fleet is kept on this machine.
pub(super) fn description_file(spec: &DeploySpec, unit: &Unit<'_>) -> PathBuf {
    spec.home.join("deploy").join(format!("{}.json", container_name(&spec.fleet, unit)))
}

/// The container of a unit. `image` is the digest of its image: a new one means a new container.
pub(super) fn service_spec(spec: &DeploySpec, unit: &Unit<'_>, graph: &Graph, image: &str) -> ServiceSpec {
    let fleet = &spec.fleet;
    let supervised = unit.content == Content::Supervised;
    let program = unit.only().map(|service| &service.program);
    let account = program.and_then(|program| program.account.as_ref());
    let passed = unit.passed().into_iter().filter_map(|name| spec.environment.get_key_value(name));
    let mut environment: BTreeMap<String, String> = passed.map(|(name, value)| (name.clone(), value.clone())).collect();
    environment.extend(unit.environment());
    if supervised {
        environment.insert(HOME_VARIABLE.to_owned(), HOME.to_owned());
    }
    let directory = program.map(|program| &program.directory).filter(|directory| **directory != fleet.directory);
    let mut made = ServiceSpec {
        name: container_name(fleet, unit),
        image: unit.image.clone(),
        masque: supervised.then(|| Masque {
            executable: spec.executable.clone(),
            libraries: spec.libraries.clone(),
            arguments: spec.start.of(unit).arguments,
        }),
        entrypoint: unit.container.entrypoint.clone(),
        command: program.and_then(|_| unit.command()),
        environment,
        directory: directory.map(|directory| directory.to_string_lossy().into_owned()),
        user: account.map(|account| match &account.group {
            Some(group) => format!("{}:{group}", account.user),
            None => account.user.clone(),
        }),
        labels: BTreeMap::from([(FLEET_LABEL.to_owned(), fleet.name.clone())]),
        mounts: mounts(spec, unit),
        network: network(fleet, unit),
        publish: unit.published().into_iter().map(port).collect(),
        devices: unit.container.devices.clone(),
        memory_bytes: unit.memory(),
        milli_cpus: unit.milli_processors(),
        processes: unit.processes().and_then(|processes| u64::try_from(processes).ok()),
        open_files: unit.services.iter().filter_map(|service| service.limits.open_files).max(),
        stop_signal: unit.only().map(|service| format!("SIG{}", service.stop.signal)),
        stop_grace: unit.stop_grace(graph),
        restart: match unit.restart() {
            RestartPolicy::Never => Restart::Never,
            RestartPolicy::OnFailure => Restart::OnFailure { most: unit.restart_limit() },
            RestartPolicy::Always => Restart::Always,
        },
    };
    let definition =
        format!("{image}\n{made:?}\n{}", if supervised { description(fleet, unit) } else { String::new() });
    made.labels.insert(DEFINITION_LABEL.to_owned(), Digest::of(definition.as_bytes()).to_string());
    made
}

fn mounts(spec: &DeploySpec, unit: &Unit<'_>) -> Vec<Mount> {
    let declared = unit.volumes(&spec.fleet).into_iter().filter_map(|volume| {
        let source = match volume.source {
            Source::Named(name) => match masque_fleet::export::volume(&spec.fleet, &name) {
                Shared { name, external: true } => MountSource::External(name),
                Shared { name, external: false } => MountSource::Volume(name),
            },
            Source::Path(path) => MountSource::Path(path),
            // The engine makes it from the image.
            Source::Unnamed => return None,
        };
        Some(Mount { source, target: volume.target, read_only: volume.read_only, options: volume.options })
    });
    let mut mounts: Vec<Mount> = declared.collect();
    if unit.content == Content::Supervised {
        let file = MountSource::Path(description_file(spec, unit));
        let own = [(file, MANIFEST, true), (MountSource::Path(spec.home.clone()), HOME, false)];
        mounts.extend(own.map(|(source, target, read_only)| {
            let (target, options) = (target.to_owned(), Vec::new());
            Mount { source, target, read_only, options }
        }));
    }
    mounts
}

fn port(published: Published) -> Port {
    let Published { address, machine, container, protocol } = published;
    Port { address, machine, container, protocol: protocol.name() }
}

fn network(fleet: &Fleet, unit: &Unit<'_>) -> NetworkJoin {
    let Some(name) = &unit.network else { return NetworkJoin::Host };
    let Shared { name, external } = masque_fleet::export::network(fleet, name);
    NetworkJoin::Named {
        name,
        external,
        subnet: unit.subnet(),
        address: unit.container.address.clone(),
        aliases: unit.aliases(),
    }
}
