//! What goes wrong with real programs: they die, stop, hang, lie; their ports are taken, the disk is full, the link is
//! cut, the supervisor is killed. Everything comes to where it belongs, nothing is lost and nothing runs twice.

#![expect(clippy::unwrap_used, reason = "all of it is test code")]

mod support;

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use masque_fleet::{
    model::{
        Backoff, Check, Command, Dependency, Fallback, Fleet, Host, Http, Kind, Probe, Restart, Service, Start, Stop,
    },
    status::State,
};
use masque_home::identity::KeyPair;
use masque_sandbox::service::find_marked;
use masque_supervisor::{
    control::Target,
    link::{Peer, Route, Tcp},
    process::INSTANCE_VARIABLE,
    runner::{Begin, LinkParts},
};
use masque_testkit::disk::SmallDisk;
use rustix::process::Signal;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener as Listener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use support::{HOST, Place, id};

/// Only against hanging.
const GUARD: Duration = Duration::from_secs(60);

/// A fleet of one test: its place, and an address that no other test uses.
struct Stage {
    place: Place,
    address: String,
    name: String,
}

impl Stage {
    fn new() -> Self {
        let [a, b, c] = [rand::random::<u8>(), rand::random(), rand::random_range(1..255)];
        let name = format!("chaos-{:08x}", rand::random::<u32>());
        Self { place: Place::new(), address: format!("127.{}.{b}.{c}", a.max(1)), name }
    }

    /// A service that is ready when it answers, and ended when it does not answer any more.
    fn subject(&self, name: &str) -> Service {
        let probe = |failures| Probe {
            period: Duration::from_millis(100),
            timeout: Duration::from_millis(500),
            failures,
            ..Probe::new(Check::Http(Http {
                address: format!("{}:4000", self.address),
                path: "/".to_owned(),
                headers: BTreeMap::new(),
                status: (200, 399),
            }))
        };
        Service {
            listen: Some(self.address.clone()),
            port: Some(4000),
            ready: Some(probe(1)),
            live: Some(probe(2)),
            ..self.silent_subject(name)
        }
    }

    /// A service that says when it is ready, and listens nowhere.
    fn silent_subject(&self, name: &str) -> Service {
        let mut service = support::service(name);
        service.program.command = Command::Exec(vec![support::example("subject").display().to_string()]);
        service.program.directory = self.place.path().to_owned();
        service.ready = Some(Probe::new(Check::Notify));
        // What is said to a supervisor in the moment of its death is heard by nobody: then this time has to pass.
        service.ready_within = Duration::from_secs(5);
        service.restart = Restart {
            backoff: Backoff {
                first: Duration::from_millis(20),
                max: Duration::from_millis(200),
                ..Backoff::default()
            },
            ..Restart::default()
        };
        service.stop = Stop { grace: Duration::from_secs(2), ..Stop::default() };
        service
    }

    fn fleet(&self, services: Vec<Service>) -> Fleet {
        Fleet { name: self.name.clone(), ..support::fleet(services) }
    }

    /// What a service is to do wrong from now on.
    fn order(&self, name: &str, orders: &str) {
        fs_err::write(self.place.path().join(format!("{name}.orders")), orders).unwrap();
    }

    /// Waits until a service has been in that state since the change of that number.
    async fn passes(&self, name: &str, after: u64, state: State) -> u64 {
        let mut events = self.place.client().await;
        events.follow_changes(after).await.unwrap();
        support::until(&mut events, |change| change.id == id(name) && change.to == state).await.number
    }

    async fn last_change(&self) -> u64 {
        self.place.client().await.changes(0).await.unwrap().last().map_or(0, |change| change.number)
    }

    /// How many processes each service has, by what they carry in their environment.
    fn instances(&self) -> BTreeMap<String, usize> {
        let mut count = BTreeMap::new();
        for (name, _) in marked(&self.name) {
            *count.entry(name).or_default() += 1;
        }
        count
    }

    /// Each of these runs once, and nothing else; none ever ran twice.
    fn runs_once(&self, names: &[&str]) {
        let wanted: BTreeMap<String, usize> = names.iter().map(|name| ((*name).to_owned(), 1)).collect();
        assert_eq!(self.instances(), wanted);
        self.none_doubled();
    }

    fn none_doubled(&self) {
        let doubles = fs_err::read_to_string(self.place.path().join("doubles.txt")).unwrap_or_default();
        assert_eq!(doubles, "", "these ran twice at the same time");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What a failed test leaves.
        for (_, pid) in marked(&self.name) {
            signal(pid, Signal::KILL);
        }
    }
}

/// The processes of services of a fleet: name, process.
fn marked(fleet: &str) -> Vec<(String, u32)> {
    let cookies = find_marked(INSTANCE_VARIABLE.as_ref()).unwrap();
    let of_fleet = cookies.into_iter().filter(|marked| marked.is_leader).filter_map(|marked| {
        let cookie = marked.value.to_str()?.strip_prefix(fleet)?.strip_prefix(|next| next == '/' || next == '-')?;
        Some((cookie.split('/').nth_back(1)?.to_owned(), marked.process))
    });
    of_fleet.filter(|(_, process)| support::runs(*process)).collect()
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    // It may have ended meanwhile.
    let _ = rustix::process::kill_process(pid, signal);
}

async fn end(stage: &Stage, runner: tokio::task::JoinHandle<Result<(), masque_supervisor::Error>>) {
    stage.place.client().await.shutdown().await.unwrap();
    runner.await.unwrap().unwrap();
    assert_eq!(stage.instances(), BTreeMap::new(), "nothing is left");
    stage.none_doubled();
}

#[tokio::test]
async fn who_dies_stops_or_hangs_is_replaced() {
    let stage = Stage::new();
    let runner = stage.place.start(stage.fleet(vec![stage.subject("web")]), Begin::Up).await;
    stage.place.reach(&[("web", State::Ready)]).await;
    for trouble in ["kill", "stop", "hang", "deaf hang"] {
        let (before, pid) = (stage.last_change().await, stage.place.pid("web").await);
        match trouble {
            "kill" => signal(pid, Signal::KILL),
            "stop" => signal(pid, Signal::STOP),
            orders => stage.order("web", orders),
        }
        let gone = stage.passes("web", before, State::Waiting).await;
        stage.order("web", "");
        stage.passes("web", gone, State::Ready).await;
        assert_ne!(stage.place.pid("web").await, pid, "{trouble}");
        stage.runs_once(&["web"]);
    }
    end(&stage, runner).await;
}

#[tokio::test]
async fn who_says_that_it_is_not_well_is_degraded_until_it_is_well() {
    let stage = Stage::new();
    let web = Service { live: None, ..stage.subject("web") };
    let runner = stage.place.start(stage.fleet(vec![web]), Begin::Up).await;
    stage.place.reach(&[("web", State::Ready)]).await;
    let pid = stage.place.pid("web").await;
    stage.order("web", "lie");
    stage.place.reach(&[("web", State::Degraded)]).await;
    let why = stage.place.service("web").await.why;
    assert!(why.first().is_some_and(|why| why.contains("503")), "{why:?}");
    stage.order("web", "");
    stage.place.reach(&[("web", State::Ready)]).await;
    assert_eq!(stage.place.pid("web").await, pid);
    end(&stage, runner).await;
}

#[tokio::test]
async fn who_crashes_again_and_again_is_given_up_and_another_one_stands_in() {
    let stage = Stage::new();
    let mut main = stage.silent_subject("main");
    main.restart.limit = Some(3);
    main.restart.retry_after = Some(Duration::from_millis(200));
    main.fallback = vec![Fallback::Service(id("spare"))];
    let spare = Service { start: Start::Standby, ..stage.silent_subject("spare") };
    let mut user = stage.silent_subject("user");
    user.dependencies = vec![Dependency::on(id("main"))];
    user.reload_signal = Some("USR1".to_owned());
    user.program.command = Command::Shell("trap : USR1; while :; do sleep 1000 & wait; done".to_owned());
    user.ready = None;
    stage.order("main", "crash");
    let runner = stage.place.start(stage.fleet(vec![main, spare, user]), Begin::Up).await;
    stage.place.reach(&[("main", State::Substituted), ("spare", State::Ready), ("user", State::Ready)]).await;
    let pid = stage.place.pid("user").await;
    assert_eq!(stage.place.service("main").await.substituted_by, Some(id("spare")));
    stage.order("main", "");
    let all = [("main", State::Ready), ("spare", State::Declared), ("user", State::Ready)];
    stage.place.reach(&all).await;
    assert_eq!(stage.place.pid("user").await, pid, "it was told, and runs on");
    end(&stage, runner).await;
}

#[tokio::test]
async fn who_finds_its_port_taken_comes_when_it_is_free() {
    let stage = Stage::new();
    let thief = TcpListener::bind(format!("{}:4000", stage.address)).unwrap();
    let mut web = stage.subject("web");
    web.restart.limit = None;
    // The thief answers nothing: a check is no use before the service ends.
    web.ready = Some(Probe::new(Check::Notify));
    web.live = None;
    let runner = stage.place.start(stage.fleet(vec![web]), Begin::Up).await;
    let first = stage.passes("web", 0, State::Waiting).await;
    stage.passes("web", first, State::Waiting).await;
    drop(thief);
    stage.place.reach(&[("web", State::Ready)]).await;
    stage.runs_once(&["web"]);
    end(&stage, runner).await;
}

#[tokio::test]
async fn a_full_disk_for_logs_stops_nobody() {
    let stage = Stage::new();
    let logs = stage.place.state().join("logs");
    fs_err::create_dir_all(&logs).unwrap();
    let Some(_disk) = SmallDisk::mount_on(&logs, 256 << 10) else { return };
    stage.order("web", "flood");
    let runner = stage.place.start(stage.fleet(vec![stage.subject("web")]), Begin::Up).await;
    stage.place.reach(&[("web", State::Ready)]).await;
    let pid = stage.place.pid("web").await;
    let dropped = async {
        while stage.place.service("web").await.dropped_bytes == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(GUARD, dropped).await.unwrap();
    stage.place.reach(&[("web", State::Ready)]).await;
    assert_eq!(stage.place.pid("web").await, pid);
    stage.runs_once(&["web"]);
    end(&stage, runner).await;
}

#[tokio::test]
async fn a_supervisor_that_is_killed_at_any_moment_loses_none_and_doubles_none() {
    let stage = Stage::new();
    let kills: u32 = variable("MASQUE_TEST_KILLS").and_then(|text| text.parse().ok()).unwrap_or(100);
    let mut services: Vec<Service> = (0..8).map(|number| stage.silent_subject(&format!("s{number}"))).collect();
    for (number, service) in services.iter_mut().enumerate().skip(1) {
        service.dependencies = vec![Dependency::on(id(&format!("s{}", number / 2)))];
    }
    let mut task = stage.silent_subject("task");
    task.program.command = Command::Shell("echo done >> task.txt".to_owned());
    (task.kind, task.ready) = (Kind::Task, None);
    let mut shaky = stage.silent_subject("shaky");
    shaky.restart.limit = None;
    services.extend([task, shaky]);
    let fleet = stage.fleet(services);
    stage.order("s5", "slow");
    stage.order("shaky", "crash");
    let names: Vec<String> = (0..8).map(|number| format!("s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let ready: Vec<(&str, State)> = names.iter().map(|name| (*name, State::Ready)).collect();
    for number in 0..kills {
        let mut supervisor = stage.place.launch(&fleet, &["--resume"]);
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..120))).await;
        if number % 3 == 2 {
            // Something dies while nobody looks.
            let victims = marked(&stage.name);
            signal(supervisor.pid(), Signal::KILL);
            if let Some((_, pid)) = victims.get(rand::random_range(0..victims.len().max(1))) {
                signal(*pid, Signal::KILL);
            }
        }
        supervisor.kill().await;
        let double = stage.instances().into_iter().find(|(name, count)| *count > 1 && name != "task");
        assert_eq!(double, None, "after kill {number}: {}", stage.place.said());
    }
    stage.order("shaky", "");
    let supervisor = stage.place.supervise(&fleet, &["--resume"]).await;
    stage.place.reach(&ready).await;
    stage.place.reach(&[("shaky", State::Ready), ("task", State::Completed)]).await;
    let all: Vec<&str> = names.into_iter().chain(["shaky"]).collect();
    stage.runs_once(&all);
    stage.place.client().await.shutdown().await.unwrap();
    supervisor.wait().await;
    assert_eq!(stage.instances(), BTreeMap::new());
    stage.none_doubled();
}

#[tokio::test]
async fn a_cut_between_hosts_degrades_and_ends_nobody() {
    let stage = Stage::new();
    let (here, there) = (Place::new(), Place::new());
    let keys = [KeyPair::from_seed(&[1; 32]), KeyPair::from_seed(&[2; 32])];
    let far: SocketAddr = format!("{}:4100", stage.address).parse().unwrap();
    let wire = Wire::to(far, format!("{}:4101", stage.address)).await;
    let mut base = stage.silent_subject("base");
    base.id.host = "there".to_owned();
    base.restart.limit = None;
    let mut user = stage.silent_subject("user");
    let on_loss = masque_fleet::model::OnLoss::Stop;
    user.dependencies = vec![Dependency { on_loss, ..Dependency::on(base.id.clone()) }];
    let mut fleet = stage.fleet(vec![base.clone(), user]);
    fleet.hosts.insert("there".to_owned(), Host::default());
    let peer = |name: &str, key: &KeyPair, address| Peer {
        name: name.to_owned(),
        host: name.to_owned(),
        route: Route::Tcp { key: key.public(), address },
    };
    let link = |name: &str, own: &KeyPair, listen, peer| LinkParts {
        name: name.to_owned(),
        tcp: Some(Tcp { key: own.clone(), listen }),
        unix: None,
        peers: vec![peer],
    };
    let dialled = peer("there", &keys[1], Some(wire.address.to_string()));
    let near = here.linked(fleet.clone(), HOST, link(HOST, &keys[0], None, dialled)).await;
    let listening = link("there", &keys[1], Some(far.to_string()), peer(HOST, &keys[0], None));
    let distant = there.linked(fleet, "there", listening).await;
    here.reach(&[("user", State::Ready)]).await;
    let pid = here.pid("user").await;
    wire.carries.send_replace(false);
    here.reach(&[("user", State::Degraded)]).await;
    wire.carries.send_replace(true);
    here.reach(&[("user", State::Ready)]).await;
    assert_eq!(here.pid("user").await, pid, "a cut is no loss");
    let mut events = here.client().await;
    events.follow_changes(u64::MAX).await.unwrap();
    there.client().await.down(Target::Services(vec!["base".to_owned()])).await.unwrap();
    support::until(&mut events, |change| change.id == id("user") && change.to == State::Blocked).await;
    there.client().await.up(Target::Services(vec!["base".to_owned()])).await.unwrap();
    here.reach(&[("user", State::Ready)]).await;
    stage.none_doubled();
    for (place, runner) in [(&here, near), (&there, distant)] {
        place.client().await.shutdown().await.unwrap();
        runner.await.unwrap().unwrap();
    }
    assert_eq!(stage.instances(), BTreeMap::new());
}

/// A wire that can be cut: then it ends what it carries, and takes nothing on.
struct Wire {
    address: SocketAddr,
    carries: watch::Sender<bool>,
    _tasks: JoinSet<()>,
}

impl Wire {
    async fn to(target: SocketAddr, at: String) -> Self {
        let listener = Listener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (carries, seen) = watch::channel(true);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut wires = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                wires.spawn(carry(near, target, seen.clone()));
            }
        });
        Self { address, carries, _tasks: tasks }
    }
}

async fn carry(mut near: TcpStream, target: SocketAddr, mut carries: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = carries.wait_for(|carries| !carries) => {}
    }
}

#[expect(clippy::disallowed_methods, reason = "tests learn from the environment how much they are to do")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
