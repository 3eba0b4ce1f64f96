//! Units of Quadlet, with which systemd and Podman run containers: [`quadlet`].

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::{
    Content, Files, Unit,
    frame::{definitions, frame, json},
    health::{self, seconds},
    inside::{HOME, MANIFEST, description, description_name},
    names::slug,
    systemd::UnitFile,
    units::{self, Source, UnitCondition, UnitEdge, Volume},
    warnings::{Tool, Warning, warnings},
};
use crate::{
    graph::Graph,
    model::{Fleet, RestartPolicy, Shared},
};

/// A section that systemd passes over.
pub(crate) const SECTION: &str = "X-Masque";
/// Entry with the rest of the fleet.
pub(crate) const FRAME: &str = "Fleet";
/// Entry with the definitions of a container's services.
pub(crate) const SERVICE: &str = "Services";

/// What stands at the top of every unit.
const HEAD: &str = "Made by `masque fleet render --to quadlet`; copy the directory to /etc/containers/systemd/";

/// A directory of units for each host: containers, networks, volumes, pods, and the descriptions of the fleet
/// that they mount.
///
/// Services with images of their own that share a group share a pod. A unit of a group is started as soon as those that
/// it needs are; the services in it wait for each other one by one.
#[must_use]
pub fn quadlet(fleet: &Fleet) -> Files {
    let units = units::units(fleet);
    let graph = Graph::of(fleet);
    let edges = units::unit_edges(&units, &graph);
    let needed: BTreeSet<usize> = waited_for(&edges);
    let pods = pods(&units);
    let warnings = warnings(fleet, Tool::Quadlet);
    let mut files = Files::default();
    for (number, (unit, edges)) in units.iter().zip(&edges).enumerate() {
        let directory = PathBuf::from(slug(unit.host));
        let is_waited_for = needed.contains(&number);
        let scene = Scene { fleet, units: &units, graph: &graph, pods: &pods, warnings: &warnings, is_waited_for };
        files.add(directory.join(format!("{}.container", unit.name)), container(&scene, unit, edges));
        if let Some(pod) = pods.get(&number) {
            files.add(directory.join(format!("{pod}.pod")), pod_unit(fleet, pod, &units, &pods));
        }
        if let Some((network, file)) =
            unit.network.as_ref().and_then(|name| own(fleet, name, units::network(fleet, name)))
        {
            let text = network_unit(unit, &units, &network);
            files.add(directory.join(format!("{file}.network")), text);
        }
        for volume in unit.volumes(fleet) {
            if let Source::Named(name) = &volume.source
                && let Some((volume, file)) = own(fleet, name, units::volume(fleet, name))
            {
                files.add(directory.join(format!("{file}.volume")), volume_unit(&volume));
            }
        }
        files.add(directory.join(format!("{}-masque.volume", slug(&fleet.name))), state_unit(fleet));
        if unit.content == Content::Supervised {
            files.add(directory.join(description_name(unit)), description(fleet, unit));
        }
    }
    files
}

struct Scene<'a> {
    fleet: &'a Fleet,
    units: &'a [Unit<'a>],
    graph: &'a Graph,
    pods: &'a BTreeMap<usize, String>,
    warnings: &'a [Warning],
    is_waited_for: bool,
}

/// Units for whose health another one waits.
fn waited_for(edges: &[Vec<UnitEdge>]) -> BTreeSet<usize> {
    let healthy = edges.iter().flatten().filter(|edge| edge.condition == UnitCondition::Healthy);
    healthy.map(|edge| edge.on).collect()
}

/// The pods of units that share one.
fn pods(units: &[Unit<'_>]) -> BTreeMap<usize, String> {
    let mut groups: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (number, unit) in units.iter().enumerate() {
        if let (Content::Alone, Some(group)) = (unit.content, unit.group) {
            groups.entry((unit.host, group)).or_default().push(number);
        }
    }
    let mut names = super::names::Names::default();
    let shared = groups.into_iter().filter(|(_, members)| members.len() > 1);
    let named = shared.flat_map(|((_, group), members)| {
        let name = names.unique(&format!("{group}-pod"));
        members.into_iter().map(move |member| (member, name.clone()))
    });
    named.collect()
}

/// What Podman calls a network or a volume of the fleet that a unit makes, and the name of that unit; none for what
/// somebody else makes.
fn own(fleet: &Fleet, name: &str, known: Shared) -> Option<(String, String)> {
    (!known.external).then(|| (known.name, format!("{}-{}", slug(&fleet.name), slug(name))))
}

/// How a container names a network or a volume: by its unit, or as Podman calls it.
fn named(fleet: &Fleet, name: &str, known: Shared, ending: &str) -> String {
    let real = known.name.clone();
    own(fleet, name, known).map_or(real, |(_, unit)| format!("{unit}.{ending}"))
}

fn container(scene: &Scene<'_>, unit: &Unit<'_>, edges: &[UnitEdge]) -> String {
    let mut file = UnitFile::new(HEAD);
    for warning in scene.warnings.iter().filter(|warning| warning.is_about(unit)) {
        file.comment(&format!("Warning: {warning}"));
    }
    file.section("Unit");
    let what = match (unit.content, unit.group, unit.services.first()) {
        (Content::Supervised, Some(group), _) => format!("group {group}"),
        (_, _, Some(service)) => format!("service {}", service.id.name),
        _ => unit.name.clone(),
    };
    file.set("Description", format!("{}: {what}", scene.fleet.name));
    for edge in edges {
        if let Some(needed) = scene.units.get(edge.on) {
            let strict = edge.required && edge.condition != UnitCondition::Started;
            file.set(if strict { "Requires" } else { "Wants" }, format!("{}.service", needed.name));
            file.set("After", format!("{}.service", needed.name));
        }
    }
    if let Some((limit, service)) = unit.restart_limit().zip(unit.only()) {
        file.set("StartLimitBurst", limit.to_string());
        file.set("StartLimitIntervalSec", seconds(service.restart.window).to_string());
    }
    file.section("Container");
    run(scene, unit, &mut file);
    place(scene, unit, &mut file);
    checks(scene, unit, &mut file);
    limits(unit, &mut file);
    file.section("Service");
    service(scene, unit, &mut file);
    file.section("Install");
    file.set("WantedBy", "default.target");
    file.section(SECTION);
    file.set_raw(SERVICE, &definitions(unit.services.iter().copied()));
    file.finish()
}

/// What is executed, and in which surroundings.
fn run(scene: &Scene<'_>, unit: &Unit<'_>, file: &mut UnitFile) {
    file.set_argument("Image", &unit.image);
    file.set("ContainerName", format!("{}-{}", slug(&scene.fleet.name), unit.name));
    if let Some(entrypoint) = &unit.container.entrypoint {
        file.set_argument("Entrypoint", json(entrypoint));
    }
    if let Some(words) = unit.command() {
        file.set_words("Exec", words.iter().map(String::as_str));
    }
    for name in unit.passed() {
        file.set_words("PodmanArgs", ["--env", name]);
    }
    for (name, value) in unit.environment() {
        file.set_words("Environment", [format!("{name}={value}").as_str()]);
    }
    let Some(program) = unit.only().map(|service| &service.program) else { return };
    if let Some(account) = &program.account {
        file.set_argument("User", &account.user);
        if let Some(group) = &account.group {
            file.set_argument("Group", group);
        }
    }
    if program.directory != scene.fleet.directory {
        file.set_argument("WorkingDir", program.directory.to_string_lossy());
    }
}

/// Networks, ports, volumes, devices.
fn place(scene: &Scene<'_>, unit: &Unit<'_>, file: &mut UnitFile) {
    let number = scene.units.iter().position(|other| other.name == unit.name);
    if let Some(pod) = number.and_then(|number| scene.pods.get(&number)) {
        file.set("Pod", format!("{pod}.pod"));
    } else {
        join(scene.fleet, &[unit], file);
        if let Some(address) = unit.container.address.as_ref().filter(|_| unit.network.is_some()) {
            file.set("IP", address);
        }
    }
    for volume in unit.volumes(scene.fleet) {
        file.set_argument("Volume", volume_entry(scene.fleet, &volume));
    }
    if unit.content == Content::Supervised {
        file.set("Volume", format!("./{}:{MANIFEST}:ro", description_name(unit)));
        file.set("Volume", format!("{}-masque.volume:{HOME}", slug(&scene.fleet.name)));
    }
    for device in &unit.container.devices {
        file.set_argument("AddDevice", device);
    }
}

/// The network of containers that share an address, and the ports that the machine passes on to them.
fn join(fleet: &Fleet, units: &[&Unit<'_>], file: &mut UnitFile) {
    let Some(network) = units.first().and_then(|unit| unit.network.as_ref()) else {
        file.set("Network", "host");
        return;
    };
    file.set_argument("Network", named(fleet, network, units::network(fleet, network), "network"));
    for alias in units.iter().flat_map(|unit| unit.aliases()).collect::<BTreeSet<_>>() {
        file.set_words("PodmanArgs", [format!("--network-alias={alias}").as_str()]);
    }
    for port in units.iter().flat_map(|unit| unit.published()).collect::<BTreeSet<_>>() {
        file.set_argument("PublishPort", port.to_string());
    }
}

fn volume_entry(fleet: &Fleet, volume: &Volume) -> String {
    let source = match &volume.source {
        Source::Named(name) => format!("{}:", named(fleet, name, units::volume(fleet, name), "volume")),
        Source::Path(path) => format!("{}:", path.display()),
        Source::Unnamed => String::new(),
    };
    let mut options = volume.options.clone();
    if volume.read_only {
        options.push("ro".to_owned());
    }
    let options = if options.is_empty() { String::new() } else { format!(":{}", options.join(",")) };
    format!("{source}{}{options}", volume.target)
}

fn checks(scene: &Scene<'_>, unit: &Unit<'_>, file: &mut UnitFile) {
    let Some(health) = health::of(unit, scene.fleet, scene.graph) else { return };
    file.set_argument("HealthCmd", json(&health.words));
    file.set("HealthInterval", format!("{}s", seconds(health.period)));
    file.set("HealthTimeout", format!("{}s", seconds(health.timeout)));
    file.set("HealthRetries", health.failures.to_string());
    file.set("HealthStartPeriod", format!("{}s", seconds(health.start)));
    file.set_argument("HealthStartupCmd", json(&health.words));
    file.set("HealthStartupInterval", "1s");
    file.set("HealthStartupTimeout", format!("{}s", seconds(health.timeout)));
    if scene.is_waited_for {
        file.set("Notify", "healthy");
    }
}

fn limits(unit: &Unit<'_>, file: &mut UnitFile) {
    if let Some(processes) = unit.processes() {
        file.set("PidsLimit", processes.to_string());
    }
    if let Some(most) = unit.open_files() {
        file.set("Ulimit", format!("nofile={most}:{most}"));
    }
    if let Some(bytes) = unit.memory() {
        file.set("PodmanArgs", format!("--memory={bytes}b"));
    }
    if let Some(processors) = unit.processors() {
        file.set("PodmanArgs", format!("--cpus={processors}"));
    }
    if let Some(service) = unit.only() {
        file.set_words("PodmanArgs", [format!("--stop-signal=SIG{}", service.stop.signal).as_str()]);
    }
}

fn service(scene: &Scene<'_>, unit: &Unit<'_>, file: &mut UnitFile) {
    if unit.is_task() {
        // Who waits for it waits for its end.
        file.set("Type", "oneshot");
        file.set("RemainAfterExit", "yes");
    }
    let restart = match unit.restart() {
        RestartPolicy::Never => "no",
        RestartPolicy::OnFailure => "on-failure",
        RestartPolicy::Always => "always",
    };
    file.set("Restart", restart);
    let passed: Vec<&str> = unit.passed().into_iter().collect();
    if !passed.is_empty() {
        // Systemd keeps its own environment from services; Podman is to see these, which it is told to pass on.
        file.set_words("PassEnvironment", passed);
    }
    let start = unit.ready_within(scene.fleet, scene.graph);
    file.set("TimeoutStartSec", (seconds(start) + 60).to_string());
    file.set("TimeoutStopSec", seconds(unit.stop_grace(scene.graph)).to_string());
}

fn pod_unit(fleet: &Fleet, pod: &str, units: &[Unit<'_>], pods: &BTreeMap<usize, String>) -> String {
    let members = units.iter().enumerate().filter(|(number, _)| pods.get(number).is_some_and(|name| name == pod));
    let members: Vec<_> = members.map(|(_, unit)| unit).collect();
    let mut file = UnitFile::new(HEAD);
    file.section("Pod");
    file.set("PodName", format!("{}-{pod}", slug(&fleet.name)));
    join(fleet, &members, &mut file);
    if let Some(address) = members.iter().find_map(|unit| unit.container.address.as_ref()) {
        // Pods know the entry `IP` of containers only since Podman 5.5.
        file.set_argument("PodmanArgs", format!("--ip={address}"));
    }
    file.finish()
}

fn network_unit(unit: &Unit<'_>, units: &[Unit<'_>], name: &str) -> String {
    let mut file = UnitFile::new(HEAD);
    file.section("Network");
    file.set_argument("NetworkName", name);
    let joins = |other: &&Unit<'_>| other.host == unit.host && other.network == unit.network;
    if let Some(subnet) = units.iter().filter(joins).find_map(Unit::subnet) {
        file.set("Subnet", subnet);
    }
    file.finish()
}

fn volume_unit(name: &str) -> String {
    let mut file = UnitFile::new(HEAD);
    file.section("Volume");
    file.set_argument("VolumeName", name);
    file.finish()
}

/// The volume that the supervisors share; it carries what belongs to the whole fleet.
fn state_unit(fleet: &Fleet) -> String {
    let mut file = UnitFile::new(HEAD);
    file.section("Volume");
    file.set("VolumeName", format!("{}-masque", slug(&fleet.name)));
    file.section(SECTION);
    file.set_raw(FRAME, &frame(fleet));
    file.finish()
}
