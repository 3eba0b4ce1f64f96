//! [`Unit`]: what becomes one container.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use super::names::{Names, slug};
use crate::{
    graph::{Edge, Graph},
    model::{Condition, Container, Fleet, Kind, Network, Published, RestartPolicy, Service, ServiceId, Shared},
};

/// What runs in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Masque, and under it the services of a group.
    Supervised,
    /// One service alone, in an image of its own, without Masque.
    Alone,
}

/// Where the image of a container comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is built by a file that a person wrote.
    Written,
    /// It is built by a file that Masque writes.
    Made,
    /// The engine has it, or fetches it.
    Elsewhere,
}

/// What becomes one container.
#[derive(Debug, Clone)]
pub struct Unit<'a> {
    /// Its name, which every tool takes; unique in the fleet.
    pub name: String,
    /// Its host.
    pub host: &'a str,
    /// Its group.
    pub group: Option<&'a str>,
    /// What runs in it.
    pub content: Content,
    /// The services in it, in the order of the fleet; at least one.
    pub services: Vec<&'a Service>,
    /// How the container is made.
    pub container: Container,
    /// The image.
    pub image: String,
    /// The network that it joins; absent: that of the machine, where services find each other as without containers.
    pub network: Option<String>,
}

/// A need between containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnitEdge {
    /// Number of the unit that is needed.
    pub on: usize,
    /// When it is met.
    pub condition: UnitCondition,
    /// Whether some service cannot do without.
    pub required: bool,
}

/// When a need between containers is met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnitCondition {
    /// The container was started. Between groups this is enough: Masque makes each service wait for those it needs, so
    /// that none waits for the rest of a group.
    Started,
    /// The container is healthy.
    Healthy,
    /// The container came to its end.
    Completed,
}

/// The containers of a fleet, in its order. Services of one group on one host share one, unless they have images of
/// their own; a service without a group has one for itself.
#[must_use]
pub fn units(fleet: &Fleet) -> Vec<Unit<'_>> {
    let mut found: Vec<Unit<'_>> = Vec::new();
    let mut names = Names::default();
    for service in &fleet.services {
        let (host, group) = (service.id.host.as_str(), service.group.as_deref());
        let content = if service.program.image.is_some() { Content::Alone } else { Content::Supervised };
        let shares = |unit: &&mut Unit<'_>| {
            unit.content == Content::Supervised && unit.host == host && unit.group == group && group.is_some()
        };
        let shared = found.iter_mut().find(shares).filter(|_| content == Content::Supervised);
        if let Some(unit) = shared {
            unit.services.push(service);
            continue;
        }
        let described = group.and_then(|group| fleet.groups.get(group)).and_then(|group| group.container.clone());
        let container = described.unwrap_or_default();
        let own = if content == Content::Alone { &service.id.name } else { group.unwrap_or(&service.id.name) };
        let name = names.unique(own);
        let image = service.program.image.clone().or_else(|| container.image.clone());
        let image = image.unwrap_or_else(|| format!("localhost/{}/{name}:latest", slug(&fleet.name)));
        let network = container.network.as_ref().and_then(Network::name).map(str::to_owned);
        found.push(Unit { name, host, group, content, services: vec![service], container, image, network });
    }
    join_networks(&mut found);
    found
}

/// Groups of a host on which one group has a network join that one, so that they reach each other. A container of
/// somebody else has its ports passed on by the machine, for which it needs a network of its own.
fn join_networks(units: &mut [Unit<'_>]) {
    let mut networks: BTreeMap<&str, String> = BTreeMap::new();
    for unit in units.iter().filter(|unit| unit.content == Content::Supervised) {
        if let Some(network) = &unit.network {
            networks.entry(unit.host).or_insert_with(|| network.clone());
        }
    }
    let undecided = |unit: &&mut Unit<'_>| unit.container.network.is_none();
    for unit in units.iter_mut().filter(undecided) {
        let own = (unit.content == Content::Alone).then(|| unit.host.to_owned());
        unit.network = networks.get(unit.host).cloned().or(own);
    }
}

/// For each unit the units that its services need. Needs that would make containers wait for each other in a circle are
/// left out; the services in them still wait, each for its own. So are needs across hosts.
#[must_use]
pub fn unit_edges(units: &[Unit<'_>], graph: &Graph) -> Vec<Vec<UnitEdge>> {
    let number = |id: &ServiceId| units.iter().position(|unit| unit.services.iter().any(|service| service.id == *id));
    let mut found: Vec<BTreeMap<usize, UnitEdge>> = vec![BTreeMap::new(); units.len()];
    for edge in graph.edges() {
        let (Some(from), Some(on)) = (number(&edge.from), number(&edge.to)) else { continue };
        let (Some(dependant), Some(needed)) = (units.get(from), units.get(on)) else { continue };
        if from == on || dependant.host != needed.host {
            continue;
        }
        let new = UnitEdge { on, condition: condition(dependant, needed, edge), required: edge.required };
        if let Some(known) = found.get_mut(from).map(|edges| edges.entry(on).or_insert(new)) {
            known.condition = known.condition.max(new.condition);
            known.required |= new.required;
        }
    }
    let next: Vec<BTreeSet<usize>> = found.iter().map(|edges| edges.keys().copied().collect()).collect();
    let without_circles = |(from, edges): (usize, BTreeMap<usize, UnitEdge>)| {
        edges.into_values().filter(|edge| !reaches(&next, edge.on, from)).collect()
    };
    found.into_iter().enumerate().map(without_circles).collect()
}

fn condition(dependant: &Unit<'_>, needed: &Unit<'_>, edge: &Edge) -> UnitCondition {
    if dependant.content == Content::Supervised && needed.content == Content::Supervised {
        return UnitCondition::Started;
    }
    match (edge.condition, needed.content) {
        (Condition::Started, _) => UnitCondition::Started,
        (Condition::Completed, Content::Alone) => UnitCondition::Completed,
        // Without a check nobody ever says that it is healthy.
        (Condition::Ready, Content::Alone) if super::health::command(needed).is_none() => UnitCondition::Started,
        (Condition::Ready | Condition::Completed, _) => UnitCondition::Healthy,
    }
}

fn reaches(next: &[BTreeSet<usize>], from: usize, to: usize) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        open.extend(next.get(at).into_iter().flatten().copied().filter(|next| seen.insert(*next)));
    }
    false
}

/// What the engine calls a network of the fleet, and whether somebody else makes it.
#[must_use]
pub fn network(fleet: &Fleet, name: &str) -> Shared {
    fleet.networks.get(name).cloned().unwrap_or_else(|| own(fleet, name))
}

/// What the engine calls a volume of the fleet, and whether somebody else makes it.
#[must_use]
pub fn volume(fleet: &Fleet, name: &str) -> Shared {
    fleet.volumes.get(name).cloned().unwrap_or_else(|| own(fleet, name))
}

fn own(fleet: &Fleet, name: &str) -> Shared {
    Shared { name: format!("{}-{}", slug(&fleet.name), slug(name)), external: false }
}

/// A mount of a container, from `SOURCE:TARGET[:OPTIONS]` or `TARGET` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// What is mounted.
    pub source: Source,
    /// Where it stands inside.
    pub target: String,
    /// Whether nobody inside may write there.
    pub read_only: bool,
    /// Other options: `z`, `Z`, `U`.
    pub options: Vec<String>,
}

/// What a container mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A volume of that name.
    Named(String),
    /// A path of the machine; absolute.
    Path(PathBuf),
    /// A volume that lives as long as the container.
    Unnamed,
}

impl Volume {
    /// A relative path begins at the fleet's directory.
    pub(super) fn parse(text: &str, directory: &Path) -> Self {
        let mut parts = text.split(':');
        let (first, second) = (parts.next().unwrap_or_default(), parts.next());
        let options: Vec<String> = parts.flat_map(|part| part.split(',')).map(str::to_owned).collect();
        let (source, target) = match second {
            None => (Source::Unnamed, first),
            Some(target) if first.contains('/') || first.starts_with(['.', '~']) => {
                let path = first.strip_prefix("./").unwrap_or(first);
                let path = if matches!(path, "." | "") { directory.to_owned() } else { directory.join(path) };
                (Source::Path(path), target)
            }
            Some(target) => (Source::Named(first.to_owned()), target),
        };
        let read_only = options.iter().any(|option| option == "ro");
        let options = options.into_iter().filter(|option| !matches!(option.as_str(), "ro" | "rw" | "")).collect();
        Self { source, target: target.to_owned(), read_only, options }
    }
}

impl Unit<'_> {
    /// Its mounts, as the group says them.
    #[must_use]
    pub fn volumes(&self, fleet: &Fleet) -> Vec<Volume> {
        self.container.volumes.iter().map(|text| Volume::parse(text, &fleet.directory)).collect()
    }

    /// The group by which the supervisor inside is told what is its own; see [`super::inside`] for services without one.
    #[must_use]
    pub fn own_group(&self) -> &str {
        self.group.unwrap_or(&self.name)
    }

    /// Names by which others in its network find it: those of its services, and further ones that its group says.
    #[must_use]
    pub fn aliases(&self) -> Vec<String> {
        let own = self.services.iter().map(|service| slug(&service.id.name));
        let mut names: Vec<String> = own.chain(self.container.aliases.iter().cloned()).collect();
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }

    /// Whether it comes to its end.
    #[must_use]
    pub fn is_task(&self) -> bool {
        self.only().is_some_and(|service| service.kind == Kind::Task)
    }

    /// The service of a container without Masque.
    #[must_use]
    pub fn only(&self) -> Option<&Service> {
        self.services.first().copied().filter(|_| self.content == Content::Alone)
    }

    /// When the container is started again. A task that has come to its end stays there.
    #[must_use]
    pub fn restart(&self) -> RestartPolicy {
        match self.only().map(|service| service.restart.policy) {
            None => RestartPolicy::Always,
            Some(RestartPolicy::Always) if self.is_task() => RestartPolicy::OnFailure,
            Some(policy) => policy,
        }
    }

    /// How often it is started again after failures, where that is bounded.
    #[must_use]
    pub fn restart_limit(&self) -> Option<u32> {
        self.only().filter(|_| self.restart() == RestartPolicy::OnFailure)?.restart.limit
    }

    /// How long it may take until all of its services are ready when they have to wait for everything that they need: the
    /// longest chain of `ready_within`.
    #[must_use]
    pub fn ready_within(&self, fleet: &Fleet, graph: &Graph) -> Duration {
        let own = self.services.iter().map(|service| service.id.clone());
        let needed = self.services.iter().flat_map(|service| graph.dependencies(&service.id));
        let times = own.chain(needed).filter_map(|id| Some((id.clone(), fleet.service(&id)?.ready_within)));
        let times: BTreeMap<ServiceId, Duration> = times.collect();
        let sum = || times.values().fold(Duration::ZERO, |sum, time| sum.saturating_add(*time));
        graph.critical_path(&times).map_or_else(|_| sum(), |path| path.total)
    }

    /// Variables that its services get from whoever starts the container. `PATH` is the image's own.
    #[must_use]
    pub fn passed(&self) -> BTreeSet<&str> {
        let names = self.services.iter().flat_map(|service| &service.program.pass).map(String::as_str);
        names.filter(|name| *name != "PATH" && !self.environment().contains_key(*name)).collect()
    }

    /// Where its image comes from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let container = &self.container;
        let described = container.base.is_some()
            || !container.copy.is_empty()
            || !container.packages.is_empty()
            || container.requirements.is_some();
        match self.content {
            _ if container.build.is_some() => Origin::Written,
            Content::Supervised if described || container.image.is_none() => Origin::Made,
            Content::Supervised | Content::Alone => Origin::Elsewhere,
        }
    }

    /// The port inside that stands behind a port by which services of the machine are reached.
    #[must_use]
    pub fn port_inside(&self, port: u16) -> u16 {
        let behind = self.container.publish.iter().find(|one| one.machine_port() == Some(port));
        behind.map_or(port, |one| one.container)
    }

    /// Ports that the machine passes on: the declared ones, and those of supervised services that others may reach.
    #[must_use]
    pub fn published(&self) -> Vec<Published> {
        if self.network.is_none() {
            return Vec::new();
        }
        let mut ports = self.container.publish.clone();
        if self.content == Content::Supervised {
            let open =
                |service: &&&Service| !matches!(service.listen.as_deref(), Some("127.0.0.1" | "::1" | "localhost"));
            for service in self.services.iter().filter(open) {
                ports.extend(service.port.iter().chain(service.ports.values()).map(|port| Published::same(*port)));
            }
        }
        let mut seen = BTreeSet::new();
        ports.retain(|port| seen.insert(port.clone()));
        ports
    }

    /// The words that the container executes; none when they are the image's own.
    #[must_use]
    pub fn command(&self) -> Option<Vec<String>> {
        if let Some(service) = self.only() {
            return Some(service.program.command.words()).filter(|words| !words.is_empty());
        }
        let up = ["masque", "fleet", "up", "--file", super::MANIFEST, "--host", self.host, "--group", self.own_group()];
        Some(up.map(str::to_owned).to_vec())
    }

    /// The longest chain of ends within the container, and a little more.
    #[must_use]
    pub fn stop_grace(&self, graph: &Graph) -> Duration {
        let graces = self.services.iter().map(|service| (service.id.clone(), service.stop.grace)).collect();
        let longest = || self.services.iter().map(|service| service.stop.grace).max().unwrap_or_default();
        let chain = graph.critical_path(&graces).map_or_else(|_| longest(), |path| path.total);
        chain + Duration::from_secs(5)
    }

    /// The sum of a limit over the services, when each of them has one.
    pub(super) fn sum(&self, limit: impl Fn(&Service) -> Option<u64>) -> Option<u64> {
        self.services.iter().try_fold(0_u64, |sum, service| Some(sum.saturating_add(limit(service)?)))
    }

    /// What the container is told by its environment.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        let supervised = || BTreeMap::from([("MASQUE_HOME".to_owned(), super::inside::HOME.to_owned())]);
        self.only().map_or_else(supervised, |service| service.program.environment.clone())
    }

    /// Memory in bytes, when every service has a limit; Masque's own is added.
    #[must_use]
    pub fn memory(&self) -> Option<u64> {
        let own = if self.content == Content::Supervised { 64 << 20 } else { 0 };
        self.sum(|service| service.limits.memory_bytes).map(|sum| sum.saturating_add(own))
    }

    /// Thousandths of a processor, when every service has a limit.
    #[must_use]
    pub fn milli_processors(&self) -> Option<u64> {
        self.sum(|service| service.limits.milli_cpus.map(u64::from))
    }

    /// Processors with a decimal, when every service has a limit: `1.5`.
    pub(super) fn processors(&self) -> Option<String> {
        let milli = self.milli_processors()?;
        Some(format!("{}.{:03}", milli / 1000, milli % 1000))
    }

    /// Processes, when every service has a limit; Masque's own are added.
    #[must_use]
    pub fn processes(&self) -> Option<i64> {
        let own = if self.content == Content::Supervised { 16 } else { 0 };
        i64::try_from(self.sum(|service| service.limits.processes.map(u64::from))?.saturating_add(own)).ok()
    }

    /// Open files of each process: the most that any service may have.
    pub(super) fn open_files(&self) -> Option<i64> {
        let most = self.services.iter().filter_map(|service| service.limits.open_files).max()?;
        i64::try_from(most).ok()
    }

    /// The network of its address: all that share its first two numbers.
    #[must_use]
    pub fn subnet(&self) -> Option<String> {
        let address: std::net::Ipv4Addr = self.container.address.as_ref()?.parse().ok()?;
        let [first, second, ..] = address.octets();
        Some(format!("{first}.{second}.0.0/16"))
    }
}
