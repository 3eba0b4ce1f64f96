//! Random fleets for property tests: everything that a manifest can say, in any combination.

#![expect(clippy::indexing_slicing, reason = "a test that cannot be set up fails by a panic")]

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use masque_fleet::model::{
    Account, Backoff, Check, Command, Condition, Container, Dependency, Expectation, Fallback, Fleet, Group, Host,
    Http, Kind, Limits, Logs, Network, OnLoss, Places, Probe, Program, Protocol, Published, Restart, RestartPolicy,
    Service, ServiceId, Shared, Start, Stop,
};
use proptest::{collection::vec, option, prelude::*, sample::Index};

/// Which fleets are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Services need only services that come before them, all of which exist; names are simple.
    Sound,
    /// Anything: circles, needs and fallbacks that exist nowhere, odd characters in every text.
    Any,
}

/// A service that sleeps: no group, no port, no probe, and needs nobody.
#[must_use]
pub fn plain_service(host: &str, name: &str) -> Service {
    Service {
        id: ServiceId::new(host, name),
        group: None,
        description: None,
        kind: Kind::Service,
        start: Start::Always,
        program: Program {
            command: Command::Exec(vec!["sleep".to_owned(), "infinity".to_owned()]),
            image: None,
            script: None,
            script_file: None,
            directory: PathBuf::from("/srv/fleet"),
            environment: BTreeMap::new(),
            pass: Vec::new(),
            account: None,
            umask: None,
        },
        listen: None,
        port: None,
        ports: BTreeMap::new(),
        dependencies: Vec::new(),
        ready: None,
        ready_within: Duration::from_secs(30),
        live: None,
        restart: Restart::default(),
        stop: Stop::default(),
        limits: Limits::default(),
        logs: Logs::default(),
        required: true,
        fallback: Vec::new(),
        reload_signal: None,
    }
}

/// A fleet of such services on one host `h`, written as `a: b c; b: c; c`: who is before the colon needs the others. A
/// name with a `/` says its host.
#[must_use]
pub fn plain_fleet(text: &str) -> Fleet {
    let id = |name: &str| {
        let (host, name) = name.split_once('/').unwrap_or(("h", name));
        ServiceId::new(host, name)
    };
    let service = |part: &str| {
        let (name, needs) = part.split_once(':').unwrap_or((part, ""));
        let own = id(name.trim());
        let dependencies = needs.split_whitespace().map(|need| Dependency::on(id(need))).collect();
        Service { dependencies, ..plain_service(&own.host, &own.name) }
    };
    let services: Vec<Service> = text.split(';').filter(|part| !part.trim().is_empty()).map(service).collect();
    Fleet {
        name: "plain".to_owned(),
        directory: PathBuf::from("/srv/fleet"),
        hosts: services.iter().map(|service| (service.id.host.clone(), Host::default())).collect(),
        services,
        ..Fleet::default()
    }
}

/// Fleets with at most so many services.
pub fn fleets(shape: Shape, most: usize) -> impl Strategy<Value = Fleet> {
    let hosts = vec((text(shape), host()), 1..4);
    let groups = vec((text(shape), group(shape)), 1..4);
    let services = vec((text(shape), draft(shape)), 0..=most);
    let shared = || proptest::collection::btree_map("[a-z]{1,8}", shared(shape), 0..3);
    (text(shape), hosts, groups, services, shared(), shared()).prop_map(
        move |(name, hosts, groups, services, volumes, networks)| {
            let hosts: Vec<_> = numbered(hosts);
            let groups: Vec<_> = numbered(groups);
            let ids: Vec<_> = numbered(services);
            let places: Vec<(ServiceId, String)> =
                ids.iter().map(|(name, draft)| draft.place(name, &hosts, &groups)).collect();
            let all: Vec<ServiceId> = places.iter().map(|(id, _)| id.clone()).collect();
            let build = |(number, (_, draft)): (usize, &(String, Draft))| draft.build(number, &places, &all, shape);
            Fleet {
                name,
                sources: vec![PathBuf::from("/srv/fleet/fleet.toml")],
                directory: PathBuf::from("/srv/fleet"),
                roots: vec![PathBuf::from("/srv/fleet"), PathBuf::from("/srv/fleet/main_pc_code")],
                services: ids.iter().enumerate().map(build).collect(),
                // A group has one host: each host has its own groups.
                groups: groups_of_hosts(&hosts, groups),
                hosts: hosts.into_iter().collect(),
                volumes,
                networks,
                places: Places::default(),
            }
        },
    )
}

fn shared(shape: Shape) -> impl Strategy<Value = Shared> {
    (text(shape), any::<bool>()).prop_map(|(name, external)| Shared { name, external })
}

fn groups_of_hosts(hosts: &[(String, Host)], groups: Vec<(String, Group)>) -> BTreeMap<String, Group> {
    let named = groups
        .into_iter()
        .flat_map(|(name, group)| hosts.iter().map(move |(host, _)| (format!("{name}@{host}"), group.clone())));
    named.collect()
}

/// Names that are all different.
fn numbered<T>(named: Vec<(String, T)>) -> Vec<(String, T)> {
    let numbered = named.into_iter().enumerate();
    numbered.map(|(number, (name, value))| (format!("{}{number}", name.replace('/', "|")), value)).collect()
}

/// What is written somewhere: in sound fleets letters, otherwise anything but control characters now and then.
fn text(shape: Shape) -> BoxedStrategy<String> {
    let plain = "[A-Za-z][A-Za-z0-9_-]{0,10}";
    match shape {
        Shape::Sound => plain.boxed(),
        Shape::Any => prop_oneof![
            4 => plain,
            2 => r#"[ -~]{1,10}"#,
            1 => r"\PC{1,8}",
            1 => prop_oneof![Just("yes"), Just("null"), Just("1.0"), Just("$HOME"), Just("%n"), Just("a: b # c"), Just("'\"")]
                .prop_map(str::to_owned),
        ]
        .boxed(),
    }
}

fn host() -> impl Strategy<Value = Host> {
    let address = option::of((1..250_u8).prop_map(|last| format!("192.0.2.{last}")));
    (address, option::of(1..65_535_u16), option::of("ed25519:[0-9a-f]{64}"), option::of(1_u64 << 30..1 << 36)).prop_map(
        |(address, port, key, memory_bytes)| Host {
            link: address.as_ref().zip(port).map(|(address, port)| format!("{address}:{port}")),
            address,
            key,
            memory_bytes,
            environment: BTreeMap::new(),
        },
    )
}

fn group(shape: Shape) -> impl Strategy<Value = Group> {
    let volume = prop_oneof![
        text(shape).prop_map(|name| format!("./{}:/app/logs", name.replace(':', ""))),
        "[a-z]{1,8}".prop_map(|name| format!("{name}:/app/data:ro")),
        "[a-z]{1,8}".prop_map(|name| format!("/{name}")),
    ];
    let copy = proptest::collection::btree_map("[a-z]{1,6}", "/app/[a-z]{1,6}", 0..3);
    let links = proptest::collection::btree_map("/app/[A-Z]{1,6}", "/app/[a-z]{1,6}", 0..2);
    let details = (option::of(text(shape)), option::of(text(shape)), vec("[a-z]{2,8}", 0..3), vec(volume, 0..3));
    let address = option::of((1..250_u8).prop_map(|last| format!("172.20.0.{last}")));
    let network = option::of(prop_oneof![1 => Just("host".to_owned()), 4 => text(shape)].prop_map(Network::from));
    let reached = (network, address, vec("[a-z]{1,8}", 0..2), vec(published(), 0..3));
    let container =
        (details, copy, links, reached).prop_map(|((image, base, packages, volumes), copy, links, reached)| {
            let (network, address, aliases, publish) = reached;
            Container {
                image,
                base,
                packages,
                volumes,
                copy: paths(copy),
                links: paths(links),
                network,
                address,
                aliases,
                publish,
                ..Container::default()
            }
        });
    (option::of(text(shape)), option::of(container))
        .prop_map(|(description, container)| Group { description, container })
}

fn published() -> impl Strategy<Value = Published> {
    let address = option::of(prop_oneof![Just("127.0.0.1"), Just("::1")].prop_map(str::to_owned));
    let machine = option::of((1..60_000_u16, 0..3_u16).prop_map(|(first, more)| (first, first + more)));
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)];
    (address, machine, 1..65_535_u16, protocol).prop_map(|(address, machine, container, protocol)| Published {
        address,
        machine,
        container,
        protocol,
    })
}

fn paths(map: BTreeMap<String, String>) -> BTreeMap<PathBuf, PathBuf> {
    map.into_iter().map(|(from, to)| (from.into(), to.into())).collect()
}

/// A service whose relations are still numbers.
#[derive(Debug, Clone)]
struct Draft {
    host: Index,
    group: Option<Index>,
    needs: Vec<Need>,
    fallback: Vec<Stand>,
    service: Service,
}

/// A need that is still a number; in fleets of any shape it may mean nobody.
#[derive(Debug, Clone)]
struct Need {
    on: Index,
    undefined: bool,
    like: Dependency,
    fallback: Vec<Stand>,
}

/// A fallback that is still a number.
#[derive(Debug, Clone)]
enum Stand {
    Service(Index),
    Environment(BTreeMap<String, String>),
}

impl Draft {
    fn place(&self, name: &str, hosts: &[(String, Host)], groups: &[(String, Group)]) -> (ServiceId, String) {
        let host = &self.host.get(hosts).0;
        let group = self.group.map(|group| format!("{}@{host}", group.get(groups).0));
        (ServiceId::new(host.clone(), name), group.unwrap_or_default())
    }

    fn build(&self, number: usize, places: &[(ServiceId, String)], all: &[ServiceId], shape: Shape) -> Service {
        let known = if shape == Shape::Sound { &all[..number] } else { all };
        let (id, group) = &places[number];
        let stands = |stands: &[Stand]| {
            let stand = |stand: &Stand| match stand {
                Stand::Environment(variables) => Some(Fallback::Environment(variables.clone())),
                Stand::Service(_) if known.is_empty() => None,
                Stand::Service(place) => Some(Fallback::Service(place.get(known).clone())),
            };
            stands.iter().filter_map(stand).collect()
        };
        let mut dependencies: Vec<Dependency> = Vec::new();
        for need in &self.needs {
            let on = match known {
                _ if need.undefined && shape == Shape::Any => ServiceId::new(id.host.clone(), "nowhere"),
                [] => continue,
                known => need.on.get(known).clone(),
            };
            if !dependencies.iter().any(|other| other.on == on) {
                dependencies.push(Dependency { on, fallback: stands(&need.fallback), ..need.like.clone() });
            }
        }
        Service {
            id: id.clone(),
            group: Some(group.clone()).filter(|group| !group.is_empty()),
            dependencies,
            fallback: stands(&self.fallback),
            ..self.service.clone()
        }
    }
}

fn draft(shape: Shape) -> impl Strategy<Value = Draft> {
    let need = (any::<Index>(), proptest::bool::weighted(0.1), dependency(), vec(stand(shape), 0..2))
        .prop_map(|(on, undefined, like, fallback)| Need { on, undefined, like, fallback });
    (any::<Index>(), option::of(any::<Index>()), vec(need, 0..4), vec(stand(shape), 0..2), service(shape))
        .prop_map(|(host, group, needs, fallback, service)| Draft { host, group, needs, fallback, service })
}

fn stand(shape: Shape) -> impl Strategy<Value = Stand> {
    prop_oneof![any::<Index>().prop_map(Stand::Service), variables(shape).prop_map(Stand::Environment)]
}

fn variables(shape: Shape) -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map("[A-Z_]{1,8}", text(shape), 0..3)
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![(0..5_000_u64).prop_map(Duration::from_millis), (1..600_u64).prop_map(Duration::from_secs)]
}

fn dependency() -> impl Strategy<Value = Dependency> {
    let condition =
        prop_oneof![1 => Just(Condition::Started), 4 => Just(Condition::Ready), 1 => Just(Condition::Completed)];
    let on_loss = prop_oneof![Just(OnLoss::Ignore), Just(OnLoss::Restart), Just(OnLoss::Stop)];
    (condition, any::<bool>(), on_loss, duration()).prop_map(|(condition, required, on_loss, grace)| Dependency {
        condition,
        required,
        on_loss,
        grace,
        ..Dependency::on(ServiceId::new("h", "n"))
    })
}

fn command(shape: Shape) -> impl Strategy<Value = Command> {
    prop_oneof![
        (text(shape), vec(text(shape), 0..4))
            .prop_map(|(first, rest)| Command::Exec(std::iter::once(first).chain(rest).collect())),
        text(shape).prop_map(Command::Shell),
    ]
}

fn program(shape: Shape) -> impl Strategy<Value = Program> {
    let account = (text(shape), option::of(text(shape))).prop_map(|(user, group)| Account { user, group });
    let image = option::weighted(0.2, "[a-z]{1,8}:[0-9]");
    let script =
        option::of(("[a-z]{1,8}\\.py", proptest::bool::weighted(if shape == Shape::Sound { 1.0 } else { 0.8 })));
    let directory = prop_oneof![Just(String::new()), "[a-z]{1,8}"];
    (command(shape), image, script, directory, variables(shape), option::of(account), option::of(0..0o777_u32))
        .prop_map(|(command, image, script, directory, environment, account, umask)| Program {
            command,
            image,
            script: script.as_ref().map(|(script, _)| script.clone()),
            script_file: script
                .filter(|(_, found)| *found)
                .map(|(name, _)| PathBuf::from("/srv/fleet/main_pc_code").join(name)),
            directory: PathBuf::from("/srv/fleet").join(directory).components().collect(),
            environment,
            pass: vec!["LANG".to_owned()],
            account,
            umask,
        })
}

fn probe(shape: Shape) -> impl Strategy<Value = Probe> {
    let address = (1..65_535_u16).prop_map(|port| format!("127.0.0.1:{port}"));
    let http = (address.clone(), text(shape), proptest::collection::btree_map("X-[a-z]{1,5}", text(shape), 0..2));
    let http = http.prop_map(|(address, path, headers)| Http {
        address,
        path: format!("/{path}"),
        headers,
        status: (200, 399),
    });
    let expectation =
        (text(shape), vec(text(shape), 0..3), any::<bool>()).prop_map(|(path, healthy, optional)| Expectation {
            path,
            healthy: healthy.into_iter().map(Into::into).collect(),
            degraded: vec!["degraded".into()],
            optional,
        });
    let zmq = (address.clone(), text(shape), vec(expectation, 0..2)).prop_map(|(address, action, expect)| Check::Zmq {
        address,
        request: serde_json::json!({ "action": action }),
        expect,
    });
    let check = prop_oneof![
        command(shape).prop_map(Check::Exec),
        address.clone().prop_map(Check::Tcp),
        http.prop_map(Check::Http),
        (address, text(shape)).prop_map(|(address, service)| Check::Grpc { address, service }),
        zmq,
        Just(Check::Notify),
        Just(Check::Descriptor),
        text(shape).prop_map(|name| Check::File(PathBuf::from("/srv/fleet").join(name.replace('/', "")))),
        text(shape).prop_map(Check::Log),
    ];
    (check, duration(), duration(), 1..5_u32, 1..3_u32)
        .prop_map(|(check, period, timeout, failures, successes)| Probe { check, period, timeout, failures, successes })
}

fn limits() -> impl Strategy<Value = Limits> {
    let numbers =
        (option::of(1_u64 << 20..1 << 34), option::of(1..9_000_u32), option::of(1..500_u32), option::of(16..9_000_u64));
    (numbers, any::<bool>()).prop_map(|((memory_bytes, milli_cpus, processes, open_files), enforce)| Limits {
        memory_bytes,
        milli_cpus,
        processes,
        open_files,
        enforce,
    })
}

fn restart() -> impl Strategy<Value = Restart> {
    let policy = prop_oneof![Just(RestartPolicy::Never), Just(RestartPolicy::OnFailure), Just(RestartPolicy::Always)];
    (policy, duration(), duration(), option::of(1..20_u32), option::of(duration())).prop_map(
        |(policy, first, max, limit, retry_after)| Restart {
            policy,
            backoff: Backoff { first, max, ..Backoff::default() },
            limit,
            retry_after,
            ..Restart::default()
        },
    )
}

fn service(shape: Shape) -> impl Strategy<Value = Service> {
    let kind = prop_oneof![5 => Just(Kind::Service), 1 => Just(Kind::Task)];
    let start = prop_oneof![5 => Just(Start::Always), 1 => Just(Start::Standby)];
    let listen = option::of(prop_oneof![Just("0.0.0.0"), Just("127.0.0.1"), Just("localhost")].prop_map(str::to_owned));
    let ports = proptest::collection::btree_map("[a-z]{1,8}", 1..65_535_u16, 0..2);
    let what = (option::of(text(shape)), kind, start, program(shape));
    let seen =
        (listen, option::of(1..65_535_u16), ports, option::of(probe(shape)), option::of(probe(shape)), duration());
    let ends = (restart(), prop_oneof![Just("TERM"), Just("INT")], duration(), limits(), any::<bool>());
    (what, seen, ends).prop_map(
        |((description, kind, start, program), (listen, port, ports, ready, live, ready_within), ends)| {
            let (restart, signal, grace, limits, required) = ends;
            Service {
                description,
                kind,
                start,
                program,
                listen,
                port,
                ports,
                ready,
                ready_within,
                live,
                restart,
                stop: Stop { signal: signal.to_owned(), grace },
                limits,
                required,
                ..plain_service("h", "n")
            }
        },
    )
}
