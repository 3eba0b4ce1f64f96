//! The example fleet over two supervisors, each in a network namespace of its own, joined by a cable; and the traps that
//! such fleets have.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on stops, and says why it is skipped"
)]

mod network;
mod support;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use masque_fleet::{
    graph::Graph,
    manifest::{self, Variables},
    model::{Fleet, ServiceId},
    status::{Change, ServiceStatus, State},
};
use masque_home::identity::KeyPair;
use masque_sandbox::service::{Output, ServiceCommand, ServiceProcess};
use masque_supervisor::{control::Client, directory::StateDirectory, link::print_host_key};
use network::Network;
use tempfile::TempDir;
use tokio::time::timeout;

/// Only against hanging: ninety interpreters start on a machine that has other things to do.
const GUARD: Duration = Duration::from_secs(300);

/// The hosts of the example fleet, with the first bytes of the seeds of their keys.
const HOSTS: [(&str, u8); 2] = [("mainpc", 1), ("pc2", 2)];

fn example_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fleets/ai-system").canonicalize().unwrap()
}

/// The Python that the agents run with, and a network; nothing, with the reason printed, where one is missing.
fn prepare(namespaces: &[(&str, &str)]) -> Option<(String, Network)> {
    #[expect(clippy::disallowed_methods, reason = "tests read what `make test` sets")]
    let python = std::env::var("MASQUE_TEST_FLEET_PYTHON").ok();
    let ready =
        python.ok_or_else(|| "MASQUE_TEST_FLEET_PYTHON names no Python with `zmq`; `make test` sets it".to_owned());
    let ready = ready.and_then(|python| Ok((python, Network::make(namespaces)?)));
    ready
        .map_err(|why| {
            assert!(option_env!("CI").is_none(), "{why}");
            println!("skipped: {why}");
        })
        .ok()
}

/// Supervisors of a fleet, their files, and their network.
struct World {
    root: TempDir,
    network: Network,
    python: String,
    fleet: Fleet,
    supervisors: BTreeMap<String, Arc<ServiceProcess>>,
}

impl World {
    /// The fleet of a manifest, with these variables and those that the agents of the example need.
    fn new(manifest: &dyn Fn(&Path) -> PathBuf, network: Network, python: String) -> Self {
        let root = tempfile::tempdir().unwrap();
        for directory in ["stamps", "control"] {
            fs_err::create_dir_all(root.path().join(directory)).unwrap();
        }
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let mut set = BTreeMap::from([
            ("python".to_owned(), python.clone()),
            ("stamps".to_owned(), text(root.path().join("stamps"))),
            ("control".to_owned(), text(root.path().join("control"))),
        ]);
        for (host, seed) in HOSTS {
            set.insert(format!("{host}_key"), print_host_key(&KeyPair::from_seed(&[seed; 32]).public()));
        }
        let variables = Variables { environment: BTreeMap::new(), set };
        let loaded = manifest::load(&[manifest(root.path())], &variables);
        assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
        Self { root, network, python, fleet: loaded.fleet.unwrap(), supervisors: BTreeMap::new() }
    }

    fn state(&self, host: &str) -> PathBuf {
        self.root.path().join("state").join(host)
    }

    /// Starts the supervisor of a host in its namespace.
    fn supervise(&mut self, host: &str, key: Option<u8>) {
        let file = self.root.path().join("fleet.json");
        fs_err::write(&file, serde_json::to_vec(&self.fleet).unwrap()).unwrap();
        let mut words = self.network.inside(host);
        words.extend([support::example("supervise"), file, host.into(), self.state(host)].map(PathBuf::into_os_string));
        words.extend(key.into_iter().flat_map(|seed| ["--key".into(), seed.to_string().into()]));
        let mut command = ServiceCommand::new(words, self.root.path());
        command.environment = [("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into())].into();
        command.output = Output::Path(self.root.path().join(format!("{host}.log")));
        self.supervisors.insert(host.to_owned(), Arc::new(command.start().unwrap()));
    }

    fn said(&self, host: &str) -> String {
        fs_err::read_to_string(self.root.path().join(format!("{host}.log"))).unwrap_or_default()
    }

    async fn client(&self, host: &str) -> Client {
        let connected = async {
            loop {
                let directory = StateDirectory::open(&self.state(host));
                if let Ok(directory) = directory
                    && let Ok(client) = Client::connect(&directory).await
                {
                    return client;
                }
                let end = self.supervisors[host].end().unwrap();
                assert!(end.is_none(), "{end:?}: {}", self.said(host));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(GUARD, connected).await.unwrap()
    }

    /// Waits until all services of a host are as wanted.
    async fn settle(&self, host: &str, wanted: impl Fn(&ServiceStatus) -> bool) -> Vec<ServiceStatus> {
        let mut events = self.client(host).await;
        events.follow_changes(u64::MAX).await.unwrap();
        let mut asks = self.client(host).await;
        let mut waits = Vec::new();
        let settled = timeout(GUARD, async {
            loop {
                let status = asks.status().await.unwrap();
                let services = status.hosts.into_iter().find(|known| known.host == host).unwrap().services;
                let late = services.iter().filter(|service| !wanted(service));
                waits = late
                    .map(|service| format!("{} is {}: {:?}", service.id, service.state.word(), service.why))
                    .collect();
                if waits.is_empty() {
                    return services;
                }
                events.next_change().await.unwrap();
            }
        });
        let settled = settled.await;
        settled.unwrap_or_else(|_| panic!("{waits:#?}\n{}", self.said(host)))
    }

    /// The changes of a host, as its supervisor wrote them.
    fn changes(&self, host: &str) -> Vec<Change> {
        let text = fs_err::read_to_string(self.state(host).join("changes.jsonl")).unwrap();
        // The other lines say since when a supervisor ran.
        text.lines()
            .filter(|line| line.contains("\"number\""))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// When an agent did something, by the clock of the machine.
    fn stamps(&self, id: &ServiceId, event: &str) -> Vec<u64> {
        let file = self.root.path().join("stamps").join(format!("{}.{}.jsonl", id.host, id.name));
        let text = fs_err::read_to_string(file).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.filter(|line| line["event"] == event).map(|line| line["at_ns"].as_u64().unwrap()).collect()
    }

    /// Tells an agent how to behave from now on.
    fn tell(&self, host: &str, port: u16, behaviour: &str) {
        let script = "import sys, zmq\n\
            socket = zmq.Context().socket(zmq.REQ)\n\
            socket.connect('tcp://127.0.0.1:' + sys.argv[1])\n\
            socket.send_string('{\"action\": \"control\", \"set\": ' + sys.argv[2] + '}')\n\
            socket.recv()\n";
        self.network.run(host, &[&self.python, "-c", script, &port.to_string(), behaviour]);
    }

    /// Ends everything, and sees that nothing is left.
    async fn end(mut self) {
        for (host, process) in std::mem::take(&mut self.supervisors) {
            let directory = StateDirectory::open(&self.state(&host)).unwrap();
            Client::connect(&directory).await.unwrap().shutdown().await.unwrap();
            timeout(GUARD, process.wait()).await.unwrap().unwrap();
        }
        assert_eq!(self.network.pids(), Vec::<u32>::new(), "processes are left");
    }
}

fn id(text: &str) -> ServiceId {
    ServiceId::try_from(text.to_owned()).unwrap()
}

/// The variables of a process.
fn environment(pid: u32) -> BTreeMap<String, String> {
    let bytes = fs_err::read(format!("/proc/{pid}/environ")).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.split('\0').filter_map(|pair| pair.split_once('=')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

/// Who stands in for whom in the example.
fn actual(id: &ServiceId) -> ServiceId {
    match id.name.as_str() {
        "PhiTranslationService" => ServiceId::new(id.host.clone(), "FixedStreamingTranslation"),
        _ => id.clone(),
    }
}

#[tokio::test]
async fn the_whole_fleet_starts_in_order_on_two_machines() {
    #[expect(clippy::disallowed_methods, reason = "tests read how often they are to run")]
    let runs = std::env::var("MASQUE_TEST_FLEET_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(1);
    for run in 0..runs {
        let Some((python, network)) = prepare(&[("mainpc", "192.168.1.101"), ("pc2", "192.168.1.102")]) else { return };
        let mut world = World::new(&|_| example_directory().join("fleet.toml"), network, python);
        for (host, seed) in HOSTS {
            world.supervise(host, Some(seed));
        }
        let mut statuses = BTreeMap::new();
        for (host, _) in HOSTS {
            let services = world.settle(host, |service| match service.id.name.as_str() {
                "PhiTranslationService" => service.state == State::Substituted,
                _ => service.state == State::Ready,
            });
            statuses.extend(services.await.into_iter().map(|service| (service.id.clone(), service)));
        }
        assert_eq!(statuses.len(), 91, "run {run}");
        in_order(&world);
        without_faults(&world, &statuses);
        the_missing_service_is_stood_in_for(&statuses);
        both_memory_managers_run(&statuses);
        world.end().await;
    }
}

/// Nobody starts before what it needs is ready: by the agents' own clock, and by what the supervisors wrote.
fn in_order(world: &World) {
    let mut edges = 0;
    let changes: BTreeMap<&str, Vec<Change>> = HOSTS.iter().map(|(host, _)| (*host, world.changes(host))).collect();
    let first = |id: &ServiceId, state: State| {
        let mut changes = changes[id.host.as_str()].iter();
        changes.find(|change| change.id == *id && change.to == state).unwrap().offset
    };
    for service in world.fleet.services.iter().filter(|service| service.id.name != "PhiTranslationService") {
        let started = world.stamps(&service.id, "started");
        assert_eq!(started.len(), 1, "{} was started once", service.id);
        for needed in &service.dependencies {
            let needed = actual(&needed.on);
            let ready = world.stamps(&needed, "ready");
            assert!(started[0] >= ready[0], "{} was started before {needed} was ready", service.id);
            if needed.host == service.id.host {
                let (start, ready) = (first(&service.id, State::Starting), first(&needed, State::Ready));
                assert!(start >= ready, "{} was started at {start:?}, {needed} was ready at {ready:?}", service.id);
            }
            edges += 1;
        }
    }
    assert_eq!(edges, world.fleet.services.iter().map(|service| service.dependencies.len()).sum::<usize>());
    assert!(Graph::of(&world.fleet).order().is_ok());
}

fn without_faults(world: &World, statuses: &BTreeMap<ServiceId, ServiceStatus>) {
    assert!(statuses.values().all(|service| service.restarts == 0));
    for (host, _) in HOSTS {
        let bad = [State::Failed, State::Waiting, State::Stopping];
        let changes = world.changes(host);
        let faults: Vec<_> = changes
            .iter()
            .filter(|change| bad.contains(&change.to) && change.id.name != "PhiTranslationService")
            .collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

/// The script of `PhiTranslationService` does not exist: another service runs in its place, and who needs it is told.
fn the_missing_service_is_stood_in_for(statuses: &BTreeMap<ServiceId, ServiceStatus>) {
    let missing = &statuses[&id("mainpc/PhiTranslationService")];
    assert_eq!(missing.substituted_by, Some(id("mainpc/FixedStreamingTranslation")));
    assert_eq!(missing.pid, None);
    let told = environment(statuses[&id("mainpc/ConsolidatedTranslator")].pid.unwrap());
    assert_eq!(told["MASQUE_DEP_PHITRANSLATIONSERVICE_SERVICE"], "mainpc/FixedStreamingTranslation");
    assert!(told["MASQUE_DEP_PHITRANSLATIONSERVICE"].ends_with(":5585"), "{told:?}");
    assert!(told["MASQUE_DEP_MODELMANAGERAGENT"].ends_with(":5570"), "{told:?}");
}

/// One name on two machines: two services, each with its own port, and who needs it gets the one of its own machine.
fn both_memory_managers_run(statuses: &BTreeMap<ServiceId, ServiceStatus>) {
    let (main, pc2) = (&statuses[&id("mainpc/MemoryManager")], &statuses[&id("pc2/MemoryManager")]);
    assert_eq!((main.port, pc2.port), (Some(5712), Some(7110)));
    assert_ne!(main.pid, pc2.pid);
    let needs_it = environment(statuses[&id("pc2/UnifiedMemoryReasoningAgent")].pid.unwrap());
    assert!(needs_it["MASQUE_DEP_MEMORYMANAGER"].ends_with(":7110"), "{needs_it:?}");
    assert_eq!(needs_it["MASQUE_DEP_MEMORYORCHESTRATOR"], "192.168.1.101:5575", "it is on the other machine");
}

/// A small fleet of the same agents, each with one of the traps.
fn traps(root: &Path) -> PathBuf {
    let directory = example_directory();
    let text = format!(
        r#"
name = "traps"
directory = "{}"
roots = [".", "main_pc_code", "pc2_code"]

[defaults]
interpreter = "${{python}}"
script = "FORMAINPC/NLLBAdapter.py"
ready = {{ zmq = true, timeout = "1s" }}
restart = {{ first = "10ms", max = "50ms" }}
environment = {{ AGENT_HEALTH_PORT = "${{service.health_port}}", AGENT_STAMPS = "${{stamps}}", PYTHONDONTWRITEBYTECODE = "1" }}

[hosts.here]
[groups.container]

[services.Own]
port = 7000

[services.Above]
port = 7010
health_port_offset = 1

[services.FarAbove]
port = 7020
health_port_offset = 1000

# The two share what would be one container with one check.
[services.Neighbour]
group = "container"
port = 7030

[services.Liar]
group = "container"
port = 7040
ready_within = "2s"
restart = "never"
environment = {{ AGENT_BEHAVIOUR = '{{"status": "error"}}' }}

[services.AskedElsewhere]
port = 7050
ready = {{ zmq = {{ port = 7050 }}, timeout = "1s" }}
ports = {{ health = 7051 }}
ready_within = "2s"
restart = "never"

[services.Turncoat]
port = 7060
live = {{ zmq = true, period = "50ms", failures = 2 }}
"#,
        directory.display()
    );
    let file = root.join("fleet.toml");
    fs_err::write(&file, text).unwrap();
    file
}

#[tokio::test]
async fn only_an_agent_that_says_that_it_is_well_is_well() {
    let Some((python, network)) = prepare(&[("here", "192.168.1.1")]) else { return };
    let mut world = World::new(&traps, network, python);
    world.supervise("here", None);
    let bad = ["Liar", "AskedElsewhere"];
    let services = world.settle("here", |service| match bad.contains(&service.id.name.as_str()) {
        true => service.state == State::Failed,
        false => service.state == State::Ready,
    });
    let services = services.await;
    for name in bad {
        let service = services.iter().find(|service| service.id.name == name).unwrap();
        assert!(!service.last_check.as_ref().is_some_and(|check| check.healthy), "{name}: {service:?}");
        let changes = world.changes("here");
        assert!(
            !changes.iter().any(|change| change.id.name == name && change.to == State::Ready),
            "{name} was never ready"
        );
    }
    // It says so later, and is started again: then it tells the truth.
    let mut events = world.client("here").await;
    events.follow_changes(u64::MAX).await.unwrap();
    world.tell("here", 7060, r#"{"status": "error"}"#);
    let turncoat = id("here/Turncoat");
    support::until(&mut events, |change| change.id == turncoat && change.to == State::Starting).await;
    support::until(&mut events, |change| change.id == turncoat && change.to == State::Ready).await;
    let again = world.client("here").await.status().await.unwrap();
    let again = again.hosts[0].services.iter().find(|service| service.id == turncoat).unwrap().clone();
    assert_eq!(again.restarts, 1);
    assert_eq!(world.stamps(&turncoat, "started").len(), 2);
    world.end().await;
}
