//! Objects of Kubernetes: [`kube`].

use std::collections::BTreeMap;

use super::{
    Content, Files, Unit,
    frame::{definitions, frame, json},
    health::{self, Health, seconds},
    inside::{HOME, MANIFEST, inside, leave_to_the_engine},
    names::{Names, slug},
    units::{self, Source, Volume},
    warnings::{Tool, head, warnings},
    yaml::{Map, Yaml},
};
use crate::{
    graph::Graph,
    model::{Check, Fleet, Network, Probe, RestartPolicy, Service, ServiceId},
};

/// Annotation with the rest of the fleet.
pub(crate) const FRAME_ANNOTATION: &str = "masque.fleet/fleet";
/// Annotation with the definitions of a deployment's services.
pub(crate) const SERVICES_ANNOTATION: &str = "masque.fleet/services";

/// What becomes one pod: the groups of a host together, or one service with an image of its own.
struct Pod<'a> {
    name: String,
    host: &'a str,
    units: Vec<&'a Unit<'a>>,
}

/// One file, `kube.yaml`. The groups of a host are containers of one pod: they share its addresses, so that services
/// find each other as on the machine, and the directory over which their supervisors see each other. Every service with
/// a port gets a Service, every named volume a PersistentVolumeClaim.
#[must_use]
pub fn kube(fleet: &Fleet) -> Files {
    let (units, graph) = (units::units(fleet), Graph::of(fleet));
    let pods = pods(fleet, &units);
    let mut documents = vec![description(fleet, &pods)];
    documents.extend(claims(fleet, &units));
    documents.extend(pods.iter().map(|pod| deployment(fleet, pod, &graph)));
    documents.extend(services(fleet, &pods));
    let mut text = head(Tool::Kube, &warnings(fleet, Tool::Kube));
    for document in documents {
        text.push_str("---\n");
        text.push_str(&Yaml::from(document).document());
    }
    let mut files = Files::default();
    files.add("kube.yaml", text);
    files
}

fn pods<'a>(fleet: &Fleet, units: &'a [Unit<'a>]) -> Vec<Pod<'a>> {
    let mut names = Names::default();
    let mut pods: Vec<Pod<'a>> = Vec::new();
    for unit in units {
        let shared = |pod: &&mut Pod<'_>| {
            pod.host == unit.host && pod.units.first().is_some_and(|first| first.content == Content::Supervised)
        };
        if unit.content == Content::Supervised
            && let Some(pod) = pods.iter_mut().find(shared)
        {
            pod.units.push(unit);
            continue;
        }
        let own = if unit.content == Content::Supervised { unit.host } else { &unit.name };
        pods.push(Pod { name: names.unique(&format!("{} {own}", fleet.name)), host: unit.host, units: vec![unit] });
    }
    pods
}

fn metadata(fleet: &Fleet, name: impl Into<String>) -> Map {
    Map::new().with("name", name.into()).with("labels", part_of(fleet))
}

fn part_of(fleet: &Fleet) -> Map {
    Map::new().with("app.kubernetes.io/part-of", slug(&fleet.name)).with("app.kubernetes.io/managed-by", "masque")
}

fn selector(pod: &Pod<'_>) -> Map {
    Map::new().with("app.kubernetes.io/name", pod.name.clone())
}

/// The fleet's description, which the pods mount. There, hosts are found by the names of their Services.
fn description(fleet: &Fleet, pods: &[Pod<'_>]) -> Map {
    let mut moved = inside(fleet);
    for pod in pods.iter().filter(|pod| pod.units.iter().all(|unit| unit.content == Content::Supervised)) {
        if let Some(host) = moved.hosts.get_mut(pod.host) {
            host.address = Some(pod.name.clone());
            let port = host.link.as_deref().and_then(link_port);
            host.link = port.map(|port| format!("{}:{port}", pod.name));
        }
    }
    let names = service_names(pods);
    for service in moved.services.iter_mut().filter(|service| service.program.image.is_some()) {
        service.listen = names.get(&service.id).cloned().or(service.listen.take());
    }
    leave_to_the_engine(&mut moved);
    let annotations = Map::new().with(FRAME_ANNOTATION, frame(fleet));
    Map::new()
        .with("apiVersion", "v1")
        .with("kind", "ConfigMap")
        .with("metadata", metadata(fleet, description_name(fleet)).with("annotations", annotations))
        .with("data", Map::new().with("fleet.json", json(&moved)))
}

fn description_name(fleet: &Fleet) -> String {
    format!("{}-fleet", slug(&fleet.name))
}

fn link_port(link: &str) -> Option<u16> {
    link.rsplit_once(':')?.1.parse().ok()
}

fn claim_name(fleet: &Fleet, volume: &str) -> String {
    let known = fleet.volumes.get(volume);
    known.map_or_else(|| format!("{}-{}", slug(&fleet.name), slug(volume)), |known| slug(&known.name))
}

fn claims(fleet: &Fleet, units: &[Unit<'_>]) -> Vec<Map> {
    let named = units.iter().flat_map(|unit| unit.volumes(fleet)).filter_map(|volume| match volume.source {
        Source::Named(name) if units::volume(fleet, &name).external => None,
        Source::Named(name) => Some(claim_name(fleet, &name)),
        Source::Path(_) | Source::Unnamed => None,
    });
    let mut names: Vec<String> = named.collect();
    names.sort();
    names.dedup();
    let claim = |name: String| {
        let requests = Map::new().with("requests", Map::new().with("storage", "10Gi"));
        Map::new()
            .with("apiVersion", "v1")
            .with("kind", "PersistentVolumeClaim")
            .with("metadata", metadata(fleet, name))
            .with("spec", Map::new().with("accessModes", vec!["ReadWriteOnce"]).with("resources", requests))
    };
    names.into_iter().map(claim).collect()
}

fn deployment(fleet: &Fleet, pod: &Pod<'_>, graph: &Graph) -> Map {
    let members = pod.units.iter().flat_map(|unit| unit.services.iter().copied());
    let annotations = Map::new().with(SERVICES_ANNOTATION, definitions(members));
    let mut volumes = Volumes::default();
    let containers: Vec<Map> = pod.units.iter().map(|unit| container(fleet, unit, graph, &mut volumes)).collect();
    let grace = pod.units.iter().map(|unit| unit.stop_grace(graph)).max().unwrap_or_default();
    let labels = selector(pod).with("app.kubernetes.io/part-of", slug(&fleet.name));
    // What a Deployment runs is always started again.
    let ends = |unit: &&Unit<'_>| unit.only().is_some() && unit.restart() != RestartPolicy::Always;
    let task = pod.units.first().copied().filter(ends);
    let of_machine = pod.units.iter().any(|unit| unit.container.network == Some(Network::Host));
    let restart = task.map(|unit| if unit.restart() == RestartPolicy::Never { "Never" } else { "OnFailure" });
    let spec = Map::new()
        .with("terminationGracePeriodSeconds", Yaml::Number(seconds(grace)))
        .with_some("restartPolicy", restart)
        .with_some("hostNetwork", of_machine.then_some(Yaml::Bool(true)))
        .with_some("dnsPolicy", of_machine.then_some("ClusterFirstWithHostNet"))
        .with("containers", Yaml::List(containers.into_iter().map(Yaml::from).collect()))
        .with("volumes", Yaml::List(volumes.declared.into_values().map(Yaml::from).collect()));
    let template = Map::new().with("metadata", Map::new().with("labels", labels)).with("spec", spec);
    let (api, kind, work) = match task {
        Some(unit) => ("batch/v1", "Job", job(unit)),
        None => ("apps/v1", "Deployment", one_at_a_time(pod)),
    };
    Map::new()
        .with("apiVersion", api)
        .with("kind", kind)
        .with("metadata", metadata(fleet, pod.name.clone()).with("annotations", annotations))
        .with("spec", work.with("template", template))
}

/// Two of one kind would take each other's ports and volumes.
fn one_at_a_time(pod: &Pod<'_>) -> Map {
    Map::new()
        .with("replicas", Yaml::Number(1))
        .with("strategy", Map::new().with("type", "Recreate"))
        .with("selector", Map::new().with("matchLabels", selector(pod)))
}

fn job(unit: &Unit<'_>) -> Map {
    let limit = match unit.restart() {
        RestartPolicy::Never => 0,
        // The most that it takes.
        _ => unit.restart_limit().map_or(i64::from(i32::MAX), i64::from),
    };
    Map::new().with("backoffLimit", Yaml::Number(limit))
}

/// The volumes of a pod by their name.
#[derive(Default)]
struct Volumes {
    declared: BTreeMap<String, Map>,
    paths: BTreeMap<String, String>,
    names: Names,
}

impl Volumes {
    /// The name of a volume in the pod, declared once.
    fn name(&mut self, key: &str, like: &str, source: impl FnOnce() -> Map) -> String {
        if let Some(name) = self.paths.get(key) {
            return name.clone();
        }
        let name = self.names.unique(like);
        self.paths.insert(key.to_owned(), name.clone());
        let mut declared = vec![("name".to_owned(), Yaml::Text(name.clone()))];
        if let Yaml::Map(entries) = Yaml::from(source()) {
            declared.extend(entries);
        }
        let declared = declared.into_iter().fold(Map::new(), |map, (key, value)| map.with_even_empty(key, value));
        self.declared.insert(name.clone(), declared);
        name
    }

    fn mount(&mut self, fleet: &Fleet, volume: &Volume) -> Map {
        let name = match &volume.source {
            Source::Named(name) => self.name(&format!("claim {name}"), name, || {
                let claim = Map::new().with("claimName", claim_name(fleet, name));
                Map::new().with("persistentVolumeClaim", claim)
            }),
            Source::Path(path) => {
                let path = path.to_string_lossy().into_owned();
                let like = path.rsplit('/').next().unwrap_or("path").to_owned();
                self.name(&format!("path {path}"), &like, || {
                    Map::new().with("hostPath", Map::new().with("path", path.clone()))
                })
            }
            Source::Unnamed => self.name(&format!("unnamed {}", volume.target), "scratch", empty),
        };
        let mount = Map::new().with("name", name).with("mountPath", volume.target.clone());
        mount.with_some("readOnly", volume.read_only.then_some(Yaml::Bool(true)))
    }
}

fn empty() -> Map {
    Map::new().with_even_empty("emptyDir", Yaml::Map(Vec::new()))
}

fn container(fleet: &Fleet, unit: &Unit<'_>, graph: &Graph, volumes: &mut Volumes) -> Map {
    let only = unit.only();
    let mut mounts: Vec<Map> = unit.volumes(fleet).iter().map(|volume| volumes.mount(fleet, volume)).collect();
    if unit.content == Content::Supervised {
        let source = || Map::new().with("configMap", Map::new().with("name", description_name(fleet)));
        let name = volumes.name("description", "fleet", source);
        let mount = Map::new().with("name", name).with("mountPath", MANIFEST).with("subPath", "fleet.json");
        mounts.push(mount.with("readOnly", Yaml::Bool(true)));
        mounts.push(Map::new().with("name", volumes.name("state", "masque", empty)).with("mountPath", HOME));
    }
    let devices = unit.container.devices.iter().filter(|device| device.starts_with('/'));
    for device in devices {
        let path = device.split(':').next().unwrap_or_default().to_owned();
        let name = volumes.name(&format!("path {path}"), &path, || {
            Map::new().with("hostPath", Map::new().with("path", path.clone()))
        });
        mounts.push(Map::new().with("name", name).with("mountPath", path.clone()));
    }
    let variable =
        |(name, value): (String, String)| Yaml::from(Map::new().with("name", name).with("value", literal(&value)));
    let health = health::of(unit, fleet, graph);
    let directory = only.map(|service| &service.program.directory).filter(|directory| **directory != fleet.directory);
    Map::new()
        .with("name", unit.name.clone())
        .with("image", unit.image.clone())
        .with_some("command", unit.container.entrypoint.as_deref().map(literals))
        .with_some("args", unit.command().as_deref().map(literals))
        .with_some("workingDir", directory.map(|directory| directory.to_string_lossy().into_owned()))
        .with("env", Yaml::List(unit.environment().into_iter().map(variable).collect()))
        .with("ports", ports(unit))
        .with("volumeMounts", Yaml::List(mounts.into_iter().map(Yaml::from).collect()))
        .with("resources", resources(unit))
        .with_some("securityContext", only.and_then(run_as))
        .with_some("startupProbe", health.as_ref().and_then(|health| startup(unit, health)))
        .with_some("readinessProbe", health.as_ref().and_then(|health| readiness(unit, health)))
        .with_some("livenessProbe", only.and_then(|service| service.live.as_ref()).and_then(probe))
}

fn run_as(service: &Service) -> Option<Map> {
    let account = service.program.account.as_ref()?;
    let number = |text: &String| text.parse::<u32>().ok().map(|number| Yaml::Number(number.into()));
    let map = Map::new().with_some("runAsUser", number(&account.user));
    Some(map.with_some("runAsGroup", account.group.as_ref().and_then(number)))
}

fn ports(unit: &Unit<'_>) -> Yaml {
    let ports = unit.services.iter().flat_map(|service| service.port.iter().chain(service.ports.values()));
    let mut numbers: Vec<u16> = ports.map(|port| unit.port_inside(*port)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let port = |number: u16| Yaml::from(Map::new().with("containerPort", Yaml::Number(number.into())));
    Yaml::List(numbers.into_iter().filter(|number| *number > 0).map(port).collect())
}

fn resources(unit: &Unit<'_>) -> Map {
    let devices = unit
        .container
        .devices
        .iter()
        .filter_map(|device| device.split_once('='))
        .filter(|(name, _)| name.contains('/'));
    let limits = Map::new()
        .with_some("cpu", unit.processors())
        .with_some("memory", unit.memory().map(|bytes| bytes.to_string()));
    let limits = devices.fold(limits, |map, (name, count)| map.with(name, Yaml::Number(count.parse().unwrap_or(1))));
    Map::new().with("limits", limits)
}

/// Until it succeeds for the first time, the other probes rest.
fn startup(unit: &Unit<'_>, health: &Health) -> Option<Map> {
    let check = action(unit)?;
    Some(
        check
            .with("periodSeconds", Yaml::Number(1))
            .with("timeoutSeconds", Yaml::Number(seconds(health.timeout)))
            .with("failureThreshold", Yaml::Number(seconds(health.start))),
    )
}

fn readiness(unit: &Unit<'_>, health: &Health) -> Option<Map> {
    let check = action(unit)?;
    Some(
        check
            .with("periodSeconds", Yaml::Number(seconds(health.period)))
            .with("timeoutSeconds", Yaml::Number(seconds(health.timeout)))
            .with("failureThreshold", Yaml::Number(health.failures.into())),
    )
}

fn action(unit: &Unit<'_>) -> Option<Map> {
    let service = unit.services.first()?;
    match unit.content {
        Content::Supervised => Some(exec(health::command(unit)?)),
        Content::Alone => native(&service.ready.as_ref().or(service.live.as_ref())?.check)
            .or_else(|| Some(exec(health::command(unit)?))),
    }
}

fn probe(probe: &Probe) -> Option<Map> {
    let check = native(&probe.check).or_else(|| health::words(&probe.check).map(exec))?;
    Some(
        check
            .with("periodSeconds", Yaml::Number(seconds(probe.period)))
            .with("timeoutSeconds", Yaml::Number(seconds(probe.timeout)))
            .with("failureThreshold", Yaml::Number(probe.failures.max(1).into())),
    )
}

fn exec(words: Vec<String>) -> Map {
    Map::new().with("exec", Map::new().with("command", literals(&words)))
}

/// Words of a command, a probe or a variable: `$(NAME)` in them would be a variable, and `$$` is a `$`.
fn literals(words: &[String]) -> Vec<String> {
    words.iter().map(|word| literal(word)).collect()
}

fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// A check that the kubelet makes itself.
fn native(check: &Check) -> Option<Map> {
    let port = |address: &str| address.rsplit_once(':')?.1.parse::<u16>().ok().map(|port| Yaml::Number(port.into()));
    match check {
        Check::Tcp(address) => Some(Map::new().with("tcpSocket", Map::new().with("port", port(address)?))),
        // It takes no other status codes for good ones.
        Check::Http(http) if http.is_usual() => {
            let header = |(name, value): (&String, &String)| {
                Yaml::from(Map::new().with("name", name.clone()).with("value", value.clone()))
            };
            let headers = Yaml::List(http.headers.iter().map(header).collect());
            let get = Map::new().with("path", http.path.clone()).with("port", port(&http.address)?);
            Some(Map::new().with("httpGet", get.with("httpHeaders", headers)))
        }
        Check::Grpc { address, service } => {
            let name = Some(service.clone()).filter(|service| !service.is_empty());
            Some(Map::new().with("grpc", Map::new().with("port", port(address)?).with_some("service", name)))
        }
        _ => None,
    }
}

/// A Service for each service with a port, and one for each pod of groups whose supervisors have a link.
fn services(fleet: &Fleet, pods: &[Pod<'_>]) -> Vec<Map> {
    let mut found = Vec::new();
    for pod in pods {
        let link = fleet.hosts.get(pod.host).and_then(|host| host.link.as_deref()).and_then(link_port);
        let is_supervised = pod.units.iter().all(|unit| unit.content == Content::Supervised);
        let port = |number: u16| Map::new().with("name", "link").with("port", Yaml::Number(number.into()));
        if let Some(link) = link.filter(|_| is_supervised) {
            // Without an address of its own its name means the pod, whose supervisor listens there before it is ready.
            let spec = Map::new()
                .with("clusterIP", "None")
                .with("publishNotReadyAddresses", Yaml::Bool(true))
                .with("selector", selector(pod))
                .with("ports", Yaml::List(vec![port(link).into()]));
            found.push(object(fleet, pod.name.clone(), spec));
        }
    }
    let names = service_names(pods);
    for pod in pods {
        for (unit, service) in
            pod.units.iter().flat_map(|unit| unit.services.iter().map(move |service| (unit, service)))
        {
            if let Some(name) = names.get(&service.id) {
                let ports = Yaml::List(service_ports(unit, service));
                found.push(object(
                    fleet,
                    name.clone(),
                    Map::new().with("selector", selector(pod)).with("ports", ports),
                ));
            }
        }
    }
    found
}

/// The names of the Services of services with a port, none of which is that of a pod.
fn service_names(pods: &[Pod<'_>]) -> BTreeMap<ServiceId, String> {
    let mut names = Names::default();
    for pod in pods {
        names.unique(&pod.name);
    }
    let services = pods.iter().flat_map(|pod| &pod.units).flat_map(|unit| &unit.services);
    let is_reached = |service: &&&Service| service.port.iter().chain(service.ports.values()).any(|port| *port > 0);
    let reached = services.filter(is_reached);
    reached.map(|service| (service.id.clone(), names.unique(&service.id.name))).collect()
}

fn object(fleet: &Fleet, name: String, spec: Map) -> Map {
    Map::new()
        .with("apiVersion", "v1")
        .with("kind", "Service")
        .with("metadata", metadata(fleet, name))
        .with("spec", spec)
}

fn service_ports(unit: &Unit<'_>, service: &Service) -> Vec<Yaml> {
    let mut names = Names::default();
    let mut numbers = Vec::new();
    let own = service.port.iter().map(|port| ("main", *port));
    let mut ports = Vec::new();
    for (name, number) in own.chain(service.ports.iter().map(|(name, port)| (name.as_str(), *port))) {
        if number > 0 && !numbers.contains(&number) {
            numbers.push(number);
            // Names of ports have 15 characters at most.
            let short: String = slug(name).chars().take(12).collect();
            let name = names.unique(&short);
            let target = Some(unit.port_inside(number)).filter(|inside| *inside != number);
            let port = Map::new().with("name", name).with("port", Yaml::Number(number.into()));
            ports.push(port.with_some("targetPort", target.map(|inside| Yaml::Number(inside.into()))).into());
        }
    }
    ports
}
