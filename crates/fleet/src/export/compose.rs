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
    model::{Fleet, RestartPolicy, Shared},
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
            .with("networks", networks(fleet, &members))
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
        .with("ports", unit.published().iter().map(ToString::to_string).collect::<Vec<_>>())
        .with("volumes", Yaml::List(mounts(fleet, unit)))
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

fn mounts(fleet: &Fleet, unit: &Unit<'_>) -> Vec<Yaml> {
    let mut all: Vec<Yaml> = unit.volumes(fleet).iter().map(mount).collect();
    if unit.content == Content::Supervised {
        let description = Map::new()
            .with("type", "bind")
            .with("source", format!("./{}", description_name(unit)))
            .with("target", MANIFEST);
        all.push(description.with("read_only", Yaml::Bool(true)).into());
        all.push(Map::new().with("type", "volume").with("source", "masque-state").with("target", HOME).into());
    }
    all
}

fn mount(volume: &Volume) -> Yaml {
    let (kind, source) = match &volume.source {
        Source::Named(name) => ("volume", Some(slug(name))),
        Source::Path(path) => ("bind", Some(path.to_string_lossy().into_owned())),
        Source::Unnamed => ("volume", None),
    };
    if let Some(source) = source.as_ref().filter(|_| !volume.options.is_empty()) {
        // Only the short form knows all options.
        let read_only = volume.read_only.then(|| "ro".to_owned());
        let options: Vec<String> = volume.options.iter().cloned().chain(read_only).collect();
        return format!("{source}:{}:{}", volume.target, options.join(",")).into();
    }
    let bind = (kind == "bind").then(|| Map::new().with("create_host_path", Yaml::Bool(true)));
    let map = Map::new().with("type", kind).with_some("source", source).with("target", volume.target.clone());
    map.with_some("read_only", volume.read_only.then_some(Yaml::Bool(true))).with_some("bind", bind).into()
}

fn networks(fleet: &Fleet, units: &[&Unit<'_>]) -> Map {
    let mut networks: BTreeMap<String, (Option<&Shared>, Option<String>)> = BTreeMap::new();
    for unit in units {
        if let Some(network) = &unit.network {
            let (known, subnet) = networks.entry(slug(network)).or_default();
            *known = fleet.networks.get(network);
            *subnet = subnet.take().or_else(|| unit.subnet());
        }
    }
    networks.into_iter().fold(Map::new(), |map, (name, (known, subnet))| {
        if known.is_some_and(|known| known.external) {
            return map.with(name, shared(known));
        }
        let pool = subnet.map(|subnet| Yaml::List(vec![Map::new().with("subnet", subnet).into()]));
        let ipam = pool.map(|pool| Map::new().with("config", pool));
        map.with(name, shared(known).with("driver", "bridge").with_some("ipam", ipam))
    })
}

/// What a network or a volume is called when it is not called after the fleet.
fn shared(known: Option<&Shared>) -> Map {
    let external = known.filter(|known| known.external).map(|_| Yaml::Bool(true));
    Map::new().with_some("name", known.map(|known| known.name.clone())).with_some("external", external)
}

fn volumes(fleet: &Fleet, units: &[&Unit<'_>]) -> Map {
    let named = units.iter().flat_map(|unit| unit.volumes(fleet)).filter_map(|volume| match volume.source {
        Source::Named(name) => Some((slug(&name), fleet.volumes.get(&name))),
        Source::Path(_) | Source::Unnamed => None,
    });
    let state = units.iter().any(|unit| unit.content == Content::Supervised);
    let state = state.then(|| ("masque-state".to_owned(), None));
    let all: BTreeMap<String, Option<&Shared>> = named.chain(state).collect();
    all.into_iter().fold(Map::new(), |map, (name, known)| {
        let driver = (!known.is_some_and(|known| known.external)).then_some("local");
        map.with(name, shared(known).with_some("driver", driver))
    })
}
