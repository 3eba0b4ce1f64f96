//! Compose files, one for each host: [`compose`].

use std::collections::BTreeMap;

use super::{
    Content, Files, Unit,
    frame::{definitions, frame},
    health::{self, Health, seconds},
    inside::{HOME, MANIFEST, description, description_name},
    names::slug,
    units::{self, Source, UnitCondition, UnitEdge, Volume},
    warnings::{Tool, head, warnings},
    yaml::{Map, Yaml},
};
use crate::{
    graph::Graph,
    model::{Fleet, RestartPolicy},
};

/// Extension of a Compose file that holds the rest of the fleet.
pub(crate) const FRAME_KEY: &str = "x-masque";
/// Label of a container with the definitions of its services.
pub(crate) const SERVICE_LABEL: &str = "masque.services";

/// A Compose file for each host, `compose.HOST.yaml`, and the descriptions of the fleet that are mounted into the
/// containers.
///
/// A container of a group waits only for the start of those that it needs: inside, each service waits for the services
/// that it needs and not for whole groups.
#[must_use]
pub fn compose(fleet: &Fleet) -> Files {
    let units = units::units(fleet);
    let graph = Graph::of(fleet);
    let edges = units::unit_edges(&units, &graph);
    let mut files = Files::default();
    let warnings = warnings(fleet, Tool::Compose);
    let mut hosts: Vec<&str> = units.iter().map(|unit| unit.host).collect();
    hosts.sort_unstable();
    hosts.dedup();
    for host in hosts {
        let own = |(_, (unit, _)): &(usize, (&Unit<'_>, _))| unit.host == host;
        let own = units.iter().zip(&edges).enumerate().filter(own);
        let mut services = Map::new();
        let mut members = Vec::new();
        for (_, (unit, edges)) in own {
            services = services.with(unit.name.clone(), service(fleet, unit, &units, edges, &graph));
            if unit.content == Content::Supervised {
                files.add(description_name(unit), description(fleet, unit));
            }
            members.push(unit);
        }
        let document: Yaml = Map::new()
            .with("name", format!("{}-{}", slug(&fleet.name), slug(host)))
            .with("services", services)
            .with("networks", networks(&members))
            .with("volumes", volumes(fleet, &members))
            .with(FRAME_KEY, frame(fleet))
            .into();
        // `$` would be a variable.
        let document = document.map_texts(&|text: &str| text.replace('$', "$$"));
        let of_host = warnings.iter().filter(|warning| members.iter().any(|unit| warning.is_about(unit)));
        let head = head(Tool::Compose, of_host);
        files.add(format!("compose.{}.yaml", slug(host)), format!("{head}{}", document.document()));
    }
    files
}

fn service(fleet: &Fleet, unit: &Unit<'_>, units: &[Unit<'_>], edges: &[UnitEdge], graph: &Graph) -> Map {
    let container = &unit.container;
    let only = unit.only();
    let program = only.map(|service| &service.program);
    let account = program.and_then(|program| program.account.as_ref());
    let user = account.map(|account| match &account.group {
        Some(group) => format!("{}:{group}", account.user),
        None => account.user.clone(),
    });
    let directory = program.map(|program| &program.directory).filter(|directory| **directory != fleet.directory);
    let passed = unit.passed().into_iter().map(|name| (name.to_owned(), Yaml::Null));
    let set = unit.environment().into_iter().map(|(name, value)| (name, Yaml::Text(value)));
    let environment: Vec<(String, Yaml)> = set.chain(passed).collect();
    Map::new()
        .with("image", unit.image.clone())
        .with("container_name", format!("{}-{}", slug(&fleet.name), unit.name))
        .with_some("entrypoint", container.entrypoint.clone())
        .with_some("command", unit.command())
        .with("environment", Yaml::Map(environment))
        .with_some("user", user)
        .with_some("working_dir", directory.map(|directory| directory.to_string_lossy().into_owned()))
        .with("ports", unit.published())
        .with("volumes", Yaml::List(mounts(fleet, unit).into_iter().map(Yaml::from).collect()))
        .with("devices", container.devices.clone())
        .with_some("network_mode", unit.network.is_none().then_some("host"))
        .with("networks", joined(unit))
        .with("depends_on", needs(units, edges))
        .with_some("healthcheck", health::of(unit, fleet, graph).as_ref().map(healthcheck))
        .with("deploy", resources(unit))
        .with_some("ulimits", open_files(unit))
        .with_some("stop_signal", only.map(|service| format!("SIG{}", service.stop.signal)))
        .with("stop_grace_period", format!("{}s", seconds(unit.stop_grace(graph))))
        .with("restart", restart(unit))
        .with("labels", Map::new().with(SERVICE_LABEL, definitions(unit.services.iter().copied())))
}

fn joined(unit: &Unit<'_>) -> Map {
    let Some(network) = &unit.network else { return Map::new() };
    let settings = Map::new().with("aliases", unit.aliases()).with_some("ipv4_address", unit.container.address.clone());
    Map::new().with_even_empty(slug(network), Yaml::from(settings))
}

fn needs(units: &[Unit<'_>], edges: &[UnitEdge]) -> Map {
    let needed = edges.iter().filter_map(|edge| Some((units.get(edge.on)?, edge)));
    needed.fold(Map::new(), |map, (unit, edge)| {
        let condition = match edge.condition {
            UnitCondition::Started => "service_started",
            UnitCondition::Healthy => "service_healthy",
            UnitCondition::Completed => "service_completed_successfully",
        };
        let optional = (!edge.required).then_some(Yaml::Bool(false));
        map.with(unit.name.clone(), Map::new().with("condition", condition).with_some("required", optional))
    })
}

fn healthcheck(health: &Health) -> Map {
    let test: Vec<String> = std::iter::once("CMD".to_owned()).chain(health.words.iter().cloned()).collect();
    Map::new()
        .with("test", test)
        .with("interval", format!("{}s", seconds(health.period)))
        .with("timeout", format!("{}s", seconds(health.timeout)))
        .with("retries", Yaml::Number(health.failures.into()))
        .with("start_period", format!("{}s", seconds(health.start)))
        .with("start_interval", "1s")
}

fn resources(unit: &Unit<'_>) -> Map {
    let limits = Map::new()
        .with_some("cpus", unit.processors())
        .with_some("memory", unit.memory().map(|bytes| bytes.to_string()))
        .with_some("pids", unit.processes().map(Yaml::Number));
    Map::new().with("resources", Map::new().with("limits", limits))
}

fn open_files(unit: &Unit<'_>) -> Option<Map> {
    let most = unit.open_files()?;
    Some(Map::new().with("nofile", Yaml::Number(most)))
}

fn restart(unit: &Unit<'_>) -> String {
    match (unit.restart(), unit.restart_limit()) {
        (RestartPolicy::Never, _) => "no".to_owned(),
        (RestartPolicy::OnFailure, Some(limit)) => format!("on-failure:{limit}"),
        (RestartPolicy::OnFailure, None) => "on-failure".to_owned(),
        (RestartPolicy::Always, _) => "unless-stopped".to_owned(),
    }
}

fn mounts(fleet: &Fleet, unit: &Unit<'_>) -> Vec<Map> {
    let mut all: Vec<Map> = unit.volumes(fleet).iter().map(mount).collect();
    if unit.content == Content::Supervised {
        let description = Map::new()
            .with("type", "bind")
            .with("source", format!("./{}", description_name(unit)))
            .with("target", MANIFEST);
        all.push(description.with("read_only", Yaml::Bool(true)));
        all.push(Map::new().with("type", "volume").with("source", "masque-state").with("target", HOME));
    }
    all
}

fn mount(volume: &Volume) -> Map {
    let (kind, source) = match &volume.source {
        Source::Named(name) => ("volume", Some(slug(name))),
        Source::Path(path) => ("bind", Some(path.to_string_lossy().into_owned())),
        Source::Unnamed => ("volume", None),
    };
    let bind = (kind == "bind").then(|| Map::new().with("create_host_path", Yaml::Bool(true)));
    let map = Map::new().with("type", kind).with_some("source", source).with("target", volume.target.clone());
    map.with_some("read_only", volume.read_only.then_some(Yaml::Bool(true))).with_some("bind", bind)
}

fn networks(units: &[&Unit<'_>]) -> Map {
    let mut networks: BTreeMap<String, Option<String>> = BTreeMap::new();
    for unit in units {
        if let Some(network) = &unit.network {
            let subnet = networks.entry(slug(network)).or_default();
            *subnet = subnet.take().or_else(|| unit.subnet());
        }
    }
    networks.into_iter().fold(Map::new(), |map, (name, subnet)| {
        let pool = subnet.map(|subnet| Yaml::List(vec![Map::new().with("subnet", subnet).into()]));
        let ipam = pool.map(|pool| Map::new().with("config", pool));
        map.with(name, Map::new().with("driver", "bridge").with_some("ipam", ipam))
    })
}

fn volumes(fleet: &Fleet, units: &[&Unit<'_>]) -> Map {
    let mut names: Vec<String> = units
        .iter()
        .flat_map(|unit| unit.volumes(fleet))
        .filter_map(|volume| match volume.source {
            Source::Named(name) => Some(slug(&name)),
            Source::Path(_) | Source::Unnamed => None,
        })
        .collect();
    if units.iter().any(|unit| unit.content == Content::Supervised) {
        names.push("masque-state".to_owned());
    }
    names.sort();
    names.dedup();
    let driver = || Map::new().with("driver", "local");
    names.into_iter().fold(Map::new(), |map, name| map.with(name, driver()))
}
