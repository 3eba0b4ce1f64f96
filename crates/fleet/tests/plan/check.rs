//! The check before a start: one finding for each fault, none for a sound fleet.

use std::{collections::BTreeSet, net::Ipv4Addr, time::Duration};

use masque_fleet::{
    check::{Entry, Listener, Report, StandIn, World, check},
    graph::Graph,
    model::{
        Account, Check, Command, Condition, Container, Dependency, Fallback, Fleet, Group, Kind, Probe, RestartPolicy,
        ServiceId, Start,
    },
};
use masque_testkit::fleets::{Shape, fleets, plain_fleet};
use masque_types::diagnostic::Severity;
use proptest::prelude::*;

fn id(name: &str) -> ServiceId {
    ServiceId::new("h", name)
}

/// `app` needs `db`, both with ports and probes of their own; nothing is wrong.
fn sound() -> (Fleet, World) {
    let mut fleet = plain_fleet("app: db; db; spare");
    for (service, port) in fleet.services.iter_mut().zip([8000, 5432, 9000]) {
        service.port = Some(port);
        service.listen = Some("127.0.0.1".to_owned());
        service.ready = Some(Probe::new(Check::Tcp(format!("127.0.0.1:{port}"))));
    }
    let world = World {
        host: Some("h".to_owned()),
        path: "/bin".to_owned(),
        users: Some(BTreeSet::from(["root".to_owned()])),
        groups: Some(BTreeSet::from(["root".to_owned()])),
        first_unprivileged_port: 1024,
        memory_bytes: Some(1 << 30),
        enforceable: Some(BTreeSet::from(["memory".to_owned()])),
        images: Some(BTreeSet::from(["known:1".to_owned()])),
        addresses: Some(BTreeSet::from([Ipv4Addr::LOCALHOST.into()])),
        ..World::default()
    };
    (fleet, world)
}

fn told(report: &Report) -> Vec<String> {
    report.findings.iter().map(ToString::to_string).collect()
}

/// Two hosts whose services need each other.
fn two_hosts() -> Fleet {
    let mut fleet = plain_fleet("h/app: p/db; p/db");
    fleet.services[1].port = Some(5432);
    fleet.services[1].ready = Some(Probe::new(Check::Tcp("127.0.0.1:5432".to_owned())));
    for (number, host) in fleet.hosts.values_mut().enumerate() {
        host.address = Some(format!("192.0.2.{}", number + 1));
        host.link = Some(format!("192.0.2.{}:7400", number + 1));
        host.key = Some(format!("ed25519:{:064x}", number + 1));
    }
    fleet
}

#[test]
fn sound_fleets_have_no_findings() {
    let (fleet, world) = sound();
    assert_eq!(told(&check(&fleet, &world)), Vec::<String>::new());
    assert_eq!(told(&check(&two_hosts(), &World::default())), Vec::<String>::new());
}

type Break = fn(&mut Fleet, &mut World);

/// What is done to the sound fleet, and what the check says: how bad, about what, in which words.
const FAULTS: &[(Severity, &str, &str, Break)] = &[
    (Severity::Error, "cycle", "waits for itself: h/app → h/db → h/app; remove", |fleet, _| {
        fleet.services[1].dependencies.push(Dependency::on(id("app")));
    }),
    (Severity::Warning, "cycle-by-fallback", "h/app → h/spare → h/app", |fleet, _| {
        fleet.services[1].fallback.push(Fallback::Service(id("spare")));
        fleet.services[2].dependencies.push(Dependency::on(id("app")));
    }),
    (
        Severity::Error,
        "undefined-dependency",
        "needs `h/spre`, which is not in the fleet; add it, declare a fallback for it, or set `required = false` (did you mean `spare`?)",
        |fleet, _| {
            fleet.services[0].dependencies[0].on = id("spre");
        },
    ),
    (Severity::Error, "unmet-dependency", "needs `h/db`, which cannot be started", |fleet, _| {
        fleet.services[1].program.script = Some("db.py".to_owned());
    }),
    (Severity::Error, "missing-program", "its script `db.py` was not found; put it there", |fleet, _| {
        fleet.services[1].program.script = Some("db.py".to_owned());
    }),
    (Severity::Error, "impossible-condition", "waits for the end of `h/db`, which is a service", |fleet, _| {
        fleet.services[0].dependencies[0].condition = Condition::Completed;
    }),
    (Severity::Warning, "impossible-condition", "is ready, which is a task without a probe", |fleet, _| {
        fleet.services[1].kind = Kind::Task;
        fleet.services[1].ready = None;
    }),
    (Severity::Error, "impossible-condition", "is a task that is always restarted", |fleet, _| {
        fleet.services[2].kind = Kind::Task;
        fleet.services[2].restart.policy = RestartPolicy::Always;
    }),
    (Severity::Warning, "impossible-condition", "which is a standby", |fleet, _| {
        fleet.services[1].start = Start::Standby
    }),
    (Severity::Warning, "repeated-dependency", "needs `h/db` twice", |fleet, _| {
        let again = fleet.services[0].dependencies[0].clone();
        fleet.services[0].dependencies.push(again);
    }),
    (Severity::Error, "duplicate-name", "host `h` has two services of this name", |fleet, _| {
        let again = fleet.services[2].clone();
        fleet.services.push(again);
    }),
    (Severity::Error, "unknown-host", "describe it under [hosts.mainpcc] (did you mean `mainpc`?)", |fleet, world| {
        fleet.hosts.insert("mainpc".to_owned(), masque_fleet::model::Host::default());
        fleet.services[2].id.host = "mainpcc".to_owned();
        world.host = None;
    }),
    (Severity::Error, "unknown-group", "its group `core` is not there", |fleet, _| {
        fleet.services[0].group = Some("core".to_owned());
    }),
    (Severity::Error, "divided-group", "group `core` is on several hosts: h, p", |fleet, _| {
        fleet.hosts.insert("p".to_owned(), masque_fleet::model::Host::default());
        fleet.groups.insert("core".to_owned(), Group::default());
        fleet.services[1].group = Some("core".to_owned());
        fleet.services[2].group = Some("core".to_owned());
        fleet.services[2].id.host = "p".to_owned();
    }),
    (Severity::Error, "port-clash", "its port 5432 on 127.0.0.1 is that of `h/app` on 0.0.0.0", |fleet, _| {
        fleet.services[0].ports.insert("health".to_owned(), 5432);
        fleet.services[0].listen = Some("0.0.0.0".to_owned());
    }),
    (Severity::Error, "port-clash", "is that of the link of host `h`", |fleet, _| {
        fleet.hosts.get_mut("h").unwrap().link = Some("0.0.0.0:9000".to_owned());
    }),
    (Severity::Error, "port-taken", "its port 8000 is taken on this machine by nginx (process 1)", |_, world| {
        let owner = Some("nginx (process 1)".to_owned());
        world.listeners.push(Listener { address: Ipv4Addr::UNSPECIFIED.into(), port: 8000, owner, is_of_fleet: false });
    }),
    (Severity::Warning, "privileged-port", "its port 80 is below 1024", |fleet, _| {
        fleet.services[2].port = Some(80);
        fleet.services[2].ready = None;
        fleet.services[2].kind = Kind::Task;
        fleet.services[2].restart.policy = RestartPolicy::Never;
    }),
    (Severity::Error, "address", "listens on 192.0.2.9, which this machine does not have", |fleet, _| {
        fleet.services[2].listen = Some("192.0.2.9".to_owned());
    }),
    (Severity::Error, "address", "`no address` is no address to listen on", |fleet, _| {
        fleet.services[2].listen = Some("no address".to_owned());
    }),
    (Severity::Warning, "address", "1 services of host `h` listen on every address", |fleet, _| {
        fleet.services[2].listen = Some("0.0.0.0".to_owned());
    }),
    (Severity::Warning, "address", "asks 0.0.0.0:9000, which is no destination", |fleet, _| {
        fleet.services[2].ready = Some(Probe::new(Check::Tcp("0.0.0.0:9000".to_owned())));
    }),
    (Severity::Error, "address", "listens on this machine only, and `h/app` of another host needs it", |fleet, _| {
        *fleet = two_hosts();
        fleet.services[1].listen = Some("127.0.0.1".to_owned());
    }),
    (Severity::Error, "unreachable-host", "host `p` has no address, no link, no key", |fleet, _| {
        *fleet = two_hosts();
        fleet.hosts.insert("p".to_owned(), masque_fleet::model::Host::default());
    }),
    (Severity::Error, "unreachable-host", "hosts `h` and `p` have the same key", |fleet, _| {
        *fleet = two_hosts();
        fleet.hosts.get_mut("p").unwrap().key = fleet.hosts["h"].key.clone();
    }),
    (Severity::Error, "unreachable-host", "expected `ed25519:` and 64 hexadecimal digits", |fleet, _| {
        *fleet = two_hosts();
        fleet.hosts.get_mut("p").unwrap().key = Some("ed25519:12".to_owned());
    }),
    (Severity::Error, "unreachable-host", "the link of host `p` is `192.0.2.2`, expected ADDRESS:PORT", |fleet, _| {
        *fleet = two_hosts();
        fleet.hosts.get_mut("p").unwrap().link = Some("192.0.2.2".to_owned());
    }),
    (Severity::Error, "address", "other hosts cannot reach host `p` at 127.0.0.1", |fleet, _| {
        *fleet = two_hosts();
        fleet.hosts.get_mut("p").unwrap().address = Some("127.0.0.1".to_owned());
    }),
    (Severity::Warning, "no-probe", "has port 9000 and no probe", |fleet, _| fleet.services[2].ready = None),
    (
        Severity::Warning,
        "one-probe-for-group",
        "the probe of `app` stands for 3 services; nobody sees db, spare",
        |fleet, _| {
            fleet.groups.insert("gpu".to_owned(), Group::default());
            for service in &mut fleet.services {
                service.group = Some("gpu".to_owned());
            }
            fleet.services[1].ready = None;
            fleet.services[2].ready = None;
        },
    ),
    (Severity::Error, "foreign-probe", "its ready probe asks port 8000, which is that of `h/app`", |fleet, _| {
        fleet.services[2].ready = Some(Probe::new(Check::Tcp("127.0.0.1:8000".to_owned())));
    }),
    (
        Severity::Warning,
        "undeclared-probe",
        "its live probe asks port 7121, which no service declares; declare it, for instance `ports = { health = 7121 }`",
        |fleet, _| {
            fleet.services[2].live = Some(Probe::new(Check::Tcp("127.0.0.1:7121".to_owned())));
        },
    ),
    (Severity::Error, "foreign-probe", "its probe asks port 7121, and so does that of `h/app`", |fleet, _| {
        for service in [0, 2] {
            fleet.services[service].live = Some(Probe::new(Check::Tcp("127.0.0.1:7121".to_owned())));
        }
    }),
    (Severity::Error, "missing-program", "its program `sleep` is not in PATH", |_, world| {
        world.programs.insert(("/bin".to_owned(), "sleep".to_owned()), None);
    }),
    (Severity::Error, "missing-program", "its program `/srv/fleet/bin/run` is not executable", |fleet, world| {
        fleet.services[2].program.command = Command::Exec(vec!["bin/run".to_owned()]);
        let file = fleet.directory.join("bin/run");
        world.entries.insert(file, Entry::File { executable: false, interpreter: None });
    }),
    (Severity::Error, "missing-program", "asks for `/opt/python`, which is not there", |fleet, world| {
        fleet.services[2].program.command = Command::Exec(vec!["/run.py".to_owned()]);
        world
            .entries
            .insert("/run.py".into(), Entry::File { executable: true, interpreter: Some("/opt/python".to_owned()) });
        world.entries.insert("/opt/python".into(), Entry::Absent);
    }),
    (Severity::Error, "missing-directory", "its working directory `/srv/fleet` is not there", |fleet, world| {
        world.entries.insert(fleet.directory.clone(), Entry::Absent);
    }),
    (Severity::Error, "missing-account", "this machine has no user `masque`", |fleet, _| {
        fleet.services[0].program.account = Some(Account { user: "masque".to_owned(), group: None });
    }),
    (Severity::Error, "missing-account", "this machine has no group of users `video`", |fleet, _| {
        fleet.services[0].program.account = Some(Account { user: "0".to_owned(), group: Some("video".to_owned()) });
    }),
    (Severity::Error, "missing-fallback", "the fallback `h/gone` of `h/db` is not in the fleet", |fleet, _| {
        fleet.services[1].fallback = vec![Fallback::Service(id("gone"))];
    }),
    (Severity::Warning, "missing-fallback", "the fallback `h/gone` of `h/db`", |fleet, _| {
        fleet.services[1].fallback = vec![Fallback::Service(id("gone")), Fallback::Service(id("spare"))];
    }),
    (Severity::Error, "fallback-cycle", "`h/db` is its own fallback", |fleet, _| {
        fleet.services[1].fallback = vec![Fallback::Service(id("db"))];
    }),
    (Severity::Warning, "fallback-cycle", "fallbacks lead in a circle: h/db → h/spare → h/db", |fleet, _| {
        fleet.services[1].fallback = vec![Fallback::Service(id("spare"))];
        fleet.services[2].fallback = vec![Fallback::Service(id("db"))];
    }),
    (Severity::Warning, "unused-standby", "is a standby that nobody names", |fleet, _| {
        fleet.services[2].start = Start::Standby
    }),
    (Severity::Warning, "memory", "the services of host `h` may use 1.5 GiB, and it has 1.0 GiB", |fleet, _| {
        fleet.services[0].limits.memory_bytes = Some(1 << 30);
        fleet.services[1].limits.memory_bytes = Some(1 << 29);
    }),
    (Severity::Error, "limit", "its limit of cpus cannot be enforced here", |fleet, _| {
        fleet.services[0].limits.milli_cpus = Some(500);
        fleet.services[0].limits.enforce = true;
    }),
    (Severity::Warning, "limit", "the limit of processes of `h/app` and 1 more cannot be enforced here", |fleet, _| {
        fleet.services[0].limits.processes = Some(5);
        fleet.services[1].limits.processes = Some(5);
    }),
    (Severity::Error, "missing-image", "group `core`: the engine does not have the image `own:1`", |fleet, _| {
        contained(fleet, Container { image: Some("own:1".to_owned()), ..Container::default() });
    }),
    (Severity::Error, "missing-image", "h/spare: the engine does not have its image `db:9`", |fleet, _| {
        fleet.services[2].program.image = Some("db:9".to_owned());
    }),
    (Severity::Warning, "missing-image", "does not have the image `debian:13`", |fleet, _| {
        let base = Some("debian:13".to_owned());
        contained(fleet, Container { base, packages: vec!["git".to_owned()], ..Container::default() });
    }),
    (
        Severity::Warning,
        "only-deployed",
        "`h/spare` runs in an image of its own, which `masque fleet up`",
        |fleet, _| {
            fleet.services[2].program.image = Some("known:1".to_owned());
        },
    ),
    (Severity::Error, "no-probe", "its ready probe is `notify`, and no supervisor hears it", |fleet, _| {
        fleet.services[2].program.image = Some("known:1".to_owned());
        fleet.services[2].ready = Some(Probe::new(Check::Notify));
    }),
    (Severity::Error, "missing-device", "group `core`: this machine has no device `/dev/nvidia0`", |fleet, world| {
        world.entries.insert("/dev/nvidia0".into(), Entry::Absent);
        contained(fleet, Container { devices: vec!["/dev/nvidia0".to_owned()], ..Container::default() });
    }),
    (Severity::Warning, "missing-file", "`requirements.txt` is to be copied and is not there", |fleet, world| {
        world.entries.insert("/srv/fleet/requirements.txt".into(), Entry::Absent);
        contained(fleet, Container { requirements: Some("requirements.txt".into()), ..Container::default() });
    }),
];

fn contained(fleet: &mut Fleet, container: Container) {
    fleet.groups.insert("core".to_owned(), Group { description: None, container: Some(container) });
    fleet.services[0].group = Some("core".to_owned());
}

#[test]
fn every_fault_is_found_and_named() {
    for (severity, rule, words, fault) in FAULTS {
        let (mut fleet, mut world) = sound();
        fault(&mut fleet, &mut world);
        let report = check(&fleet, &world);
        let found = report.findings.iter().any(|finding| {
            finding.severity == *severity && finding.rule.name() == *rule && finding.to_string().contains(words)
        });
        assert!(found, "{rule}: {words}\nfound: {:#?}", told(&report));
    }
}

#[test]
fn what_an_image_brings_is_not_looked_for_here() {
    let (mut fleet, world) = sound();
    let program = &mut fleet.services[2].program;
    program.image = Some("docker.io/library/known:1".to_owned());
    program.account = Some(Account { user: "postgres".to_owned(), group: Some("postgres".to_owned()) });
    let report = check(&fleet, &World { images: Some(["docker.io/library/known:1".to_owned()].into()), ..world });
    let rules: Vec<_> = report.findings.iter().map(|finding| finding.rule.name()).collect();
    assert_eq!(rules, ["only-deployed"], "{:#?}", told(&report));
}

#[test]
fn what_is_meant_to_be_shared_is_no_clash() {
    let (mut fleet, world) = sound();
    // A stand-in may take over the port, two addresses may share it, and a name on another host is another service.
    fleet.services[2].port = Some(5432);
    fleet.services[2].ready = Some(Probe::new(Check::Tcp("127.0.0.1:5432".to_owned())));
    fleet.services[1].fallback = vec![Fallback::Service(id("spare"))];
    fleet.services[2].start = Start::Standby;
    assert_eq!(told(&check(&fleet, &world)), Vec::<String>::new());
    fleet.services[1].fallback.clear();
    fleet.services[2].start = Start::Always;
    fleet.services[2].listen = Some("127.0.0.2".to_owned());
    assert_eq!(told(&check(&fleet, &world)), Vec::<String>::new());
    let mut fleet = plain_fleet("h/MemoryManager; p/MemoryManager");
    fleet.services[0].listen = Some("127.0.0.1".to_owned());
    assert_eq!(told(&check(&fleet, &World::default())), Vec::<String>::new());
    // A listener of the fleet itself, which runs already.
    let (fleet, mut world) = sound();
    world.listeners.push(Listener { address: Ipv4Addr::LOCALHOST.into(), port: 8000, owner: None, is_of_fleet: true });
    assert!(check(&fleet, &world).is_good());
}

#[test]
fn a_supervisor_of_some_groups_looks_at_these_only() {
    let (mut fleet, mut world) = sound();
    fleet.groups.extend(["gpu", "core"].map(|name| (name.to_owned(), Group::default())));
    for (service, group) in fleet.services.iter_mut().zip(["gpu", "core", "core"]) {
        service.group = Some(group.to_owned());
    }
    fleet.services[1].program.command = Command::Exec(vec!["postgres".to_owned()]);
    world.programs.insert(("/bin".to_owned(), "postgres".to_owned()), None);
    assert_eq!(check(&fleet, &world).errors(), 2, "the program, and who needs it");
    world.groups_here.insert("gpu".to_owned());
    assert_eq!(told(&check(&fleet, &world)), Vec::<String>::new());
}

#[test]
fn who_would_stand_in_is_told_and_is_no_error() {
    let (mut fleet, world) = sound();
    fleet.services[0].dependencies[0].on = id("PhiTranslationService");
    fleet.services[0].dependencies[0].fallback = vec![Fallback::Service(id("spare"))];
    fleet.services[2].dependencies.push(Dependency { required: false, ..Dependency::on(id("metrics")) });
    let report = check(&fleet, &world);
    assert_eq!(told(&report), Vec::<String>::new());
    let lines: Vec<_> = report.substitutions.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "h/PhiTranslationService (it is not in the fleet) → h/spare for h/app",
            "h/metrics (it is not in the fleet) → left out for h/spare",
        ]
    );
    // A service without its script: its own fallback is used by those that have none.
    let (mut fleet, world) = sound();
    fleet.services[1].program.script = Some("db.py".to_owned());
    fleet.services[1].fallback = vec![Fallback::Service(id("spare"))];
    let report = check(&fleet, &world);
    assert!(report.is_good(), "{:?}", told(&report));
    let only = &report.substitutions[0];
    assert_eq!((&only.missing, &only.by), (&id("db"), &StandIn::Service(id("spare"))));
    assert_eq!(only.dependants, [id("app")]);
}

#[test]
fn this_machine_is_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (mut fleet, _) = sound();
    fleet.directory = directory.path().to_owned();
    for service in &mut fleet.services {
        service.program.directory = directory.path().to_owned();
        service.ready_within = Duration::from_secs(1);
    }
    fleet.services[0].port = Some(port);
    fleet.services[0].ready = Some(Probe::new(Check::Tcp(format!("127.0.0.1:{port}"))));
    fleet.services[1].program.command = Command::Exec(vec!["no-such-program-anywhere".to_owned()]);
    let world = World::of_this_machine(&fleet, None, "/usr/bin:/bin");
    assert_eq!(world.host.as_deref(), Some("h"));
    assert!(world.memory_bytes.unwrap() > 1 << 20);
    assert!(world.users.as_ref().unwrap().contains("root"));
    let report = check(&fleet, &world);
    let told = told(&report).join("\n");
    let own = format!("its port {port} is taken on this machine by ");
    assert!(told.contains(&own) && told.contains(&format!("(process {})", std::process::id())), "{told}");
    assert!(told.contains("its program `no-such-program-anywhere` is not in PATH"), "{told}");
    assert!(!told.contains("`sleep`") && !told.contains("directory"), "{told}");
}

proptest! {
    /// A fleet without errors can start: it has an order, and every need that counts is met by somebody.
    #[test]
    fn good_fleets_have_an_order(fleet in prop_oneof![fleets(Shape::Sound, 8), fleets(Shape::Any, 3)]) {
        let report = check(&fleet, &World::default());
        if report.is_good() {
            let graph = Graph::of(&fleet);
            prop_assert!(graph.order().is_ok());
            prop_assert!(graph.edges().iter().all(|edge| fleet.service(&edge.to).is_some()));
        }
        prop_assert!(report.findings.iter().all(|finding| !finding.message.is_empty() && !finding.hint.is_empty()));
    }
}
