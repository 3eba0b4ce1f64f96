//! A state directory for one test, supervisors in it, and what tests wait for. Nothing is left behind.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests; each test program uses a part of them"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use masque_fleet::{
    model::{Command, Fleet, Host, Kind, Limits, Logs, Program, Restart, Service, ServiceId, Start, Stop},
    status::{Change, FleetStatus, ServiceStatus, State},
};
use masque_sandbox::service::{Output, ServiceCommand, ServiceProcess, find_marked};
use masque_supervisor::{
    Error,
    control::Client,
    directory::StateDirectory,
    runner::{Begin, LinkParts, Runner, RunnerSpec},
};
use masque_types::time::Timestamp;
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

/// Only against hanging.
const GUARD: Duration = Duration::from_secs(60);

/// The host of all services of these tests.
pub const HOST: &str = "here";

pub fn id(name: &str) -> ServiceId {
    ServiceId::new(HOST, name)
}

/// A service that runs until it is ended.
pub fn service(name: &str) -> Service {
    shell(name, "exec sleep 1000")
}

/// A service that is a line for the shell.
pub fn shell(name: &str, line: &str) -> Service {
    Service {
        id: id(name),
        group: None,
        description: None,
        kind: Kind::Service,
        start: Start::Always,
        program: Program {
            command: Command::Shell(line.to_owned()),
            script: None,
            script_file: None,
            image: None,
            directory: "/".into(),
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
        ready_within: GUARD,
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

pub fn fleet(services: Vec<Service>) -> Fleet {
    let hosts = BTreeMap::from([(HOST.to_owned(), Host::default())]);
    Fleet { name: "test".to_owned(), directory: "/".into(), hosts, services, ..Fleet::default() }
}

/// A state directory and its supervisors.
pub struct Place {
    root: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    /// Files of the test.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    pub fn spec(&self, fleet: Fleet, begin: Begin) -> RunnerSpec {
        RunnerSpec {
            fleet,
            host: HOST.to_owned(),
            groups: BTreeSet::new(),
            directory: self.state(),
            environment: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            clock: now,
            begin,
            is_shown: false,
            reload: None,
            link: None,
            metrics: None,
        }
    }

    /// A supervisor within this process.
    pub async fn start(&self, fleet: Fleet, begin: Begin) -> JoinHandle<Result<(), Error>> {
        let runner = Runner::start(self.spec(fleet, begin)).await.unwrap();
        spawn(runner.run(CancellationToken::new()))
    }

    /// A supervisor within this process, of that host and with a link to others.
    pub async fn linked(&self, fleet: Fleet, host: &str, link: LinkParts) -> JoinHandle<Result<(), Error>> {
        let spec = RunnerSpec { host: host.to_owned(), link: Some(link), ..self.spec(fleet, Begin::Up) };
        spawn(Runner::start(spec).await.unwrap().run(CancellationToken::new()))
    }

    pub async fn try_start(&self, fleet: Fleet) -> Result<Runner, Error> {
        Runner::start(self.spec(fleet, Begin::Up)).await
    }

    /// A supervisor as a process of its own, which answers.
    pub async fn supervise(&self, fleet: &Fleet, further: &[&str]) -> Supervisor {
        let supervisor = self.launch(fleet, further);
        self.answered(&supervisor).await;
        supervisor
    }

    /// A supervisor as a process of its own, which may be killed before it answers.
    pub fn launch(&self, fleet: &Fleet, further: &[&str]) -> Supervisor {
        let file = self.write(fleet);
        let words = [example("supervise"), file, HOST.into(), self.state()].map(PathBuf::into_os_string);
        let words = words.into_iter().chain(further.iter().map(Into::into));
        let mut command = ServiceCommand::new(words, self.path());
        command.environment = [("PATH".into(), "/usr/bin:/bin".into())].into();
        command.output = Output::Path(self.path().join("said.log"));
        Supervisor(Arc::new(command.start().unwrap()))
    }

    /// Waits until a supervisor answers.
    async fn answered(&self, supervisor: &Supervisor) {
        let answers = async {
            while self.connect().await.is_err() {
                let end = supervisor.0.end().unwrap();
                assert!(end.is_none(), "{end:?}: {}", self.said());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(GUARD, answers).await.unwrap();
    }

    /// Writes the manifest of supervisors of their own process.
    pub fn write(&self, fleet: &Fleet) -> PathBuf {
        let file = self.path().join("fleet.json");
        fs_err::write(&file, serde_json::to_vec(fleet).unwrap()).unwrap();
        file
    }

    /// What supervisors of their own process said.
    pub fn said(&self) -> String {
        fs_err::read_to_string(self.path().join("said.log")).unwrap_or_default()
    }

    pub async fn connect(&self) -> Result<Client, Error> {
        Client::connect(&StateDirectory::open(&self.state())?).await
    }

    pub async fn client(&self) -> Client {
        self.connect().await.unwrap()
    }

    pub async fn status(&self) -> FleetStatus {
        self.client().await.status().await.unwrap()
    }

    pub async fn service(&self, name: &str) -> ServiceStatus {
        let status = self.status().await;
        status.hosts[0].services.iter().find(|service| service.id == id(name)).unwrap().clone()
    }

    pub async fn pid(&self, name: &str) -> u32 {
        self.service(name).await.pid.unwrap()
    }

    /// Waits until these services are there, all at the same time.
    pub async fn reach(&self, wanted: &[(&str, State)]) {
        let is = |services: &[ServiceStatus], name: &str, state| {
            services.iter().any(|service| service.id == id(name) && service.state == state)
        };
        self.until(|services| wanted.iter().all(|(name, state)| is(services, name, *state))).await;
    }

    /// Waits until that is true of the services.
    pub async fn until(&self, wanted: impl Fn(&[ServiceStatus]) -> bool) {
        let mut events = self.client().await;
        // From the first on, so that none is missed.
        events.follow_changes(0).await.unwrap();
        let mut asks = self.client().await;
        let mut last = Vec::new();
        let reached = timeout(GUARD, async {
            loop {
                last.clone_from(&asks.status().await.unwrap().hosts[0].services);
                if wanted(&last) {
                    return;
                }
                events.next_change().await.unwrap();
            }
        });
        let is_reached = reached.await.is_ok();
        assert!(is_reached, "it did not come so far: {last:#?}; {}", self.said());
    }

    /// The lines that a service printed, when there are so many.
    pub async fn lines(&self, name: &str, count: usize) -> Vec<String> {
        let read = async {
            loop {
                let lines = self.client().await.logs(vec![name.to_owned()], 1_000).await.unwrap();
                if lines.len() >= count {
                    return lines.into_iter().map(|line| line.text).collect();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(GUARD, read).await.unwrap()
    }
}

/// What is left of a test that failed is ended.
impl Drop for Place {
    fn drop(&mut self) {
        let Ok(metadata) = fs_err::metadata(self.state()) else { return };
        let of_place = format!("-{:x}.{:x}.", metadata.dev(), metadata.ino());
        let marked = find_marked("MASQUE_INSTANCE".as_ref()).unwrap_or_default();
        for process in marked.iter().filter(|process| process.value.to_string_lossy().contains(&of_place)) {
            let pid = i32::try_from(process.process).ok().and_then(rustix::process::Pid::from_raw);
            // It may just have ended.
            let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
        }
    }
}

/// A supervisor that is a process.
pub struct Supervisor(Arc<ServiceProcess>);

impl Drop for Supervisor {
    fn drop(&mut self) {
        // It has ended already unless its test failed.
        let _ = self.0.signal(9);
    }
}

impl Supervisor {
    /// Kills the supervisor alone, as the kernel would.
    pub async fn kill(&mut self) {
        kill(self.0.pid());
        self.wait().await;
    }

    pub async fn wait(&self) {
        timeout(GUARD, self.0.wait()).await.unwrap().unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.0.pid()
    }
}

/// The first change of which that is true.
pub async fn until(events: &mut Client, wanted: impl Fn(&Change) -> bool) -> Change {
    let found = async {
        loop {
            let change = events.next_change().await.unwrap();
            if wanted(&change) {
                return change;
            }
        }
    };
    timeout(GUARD, found).await.unwrap()
}

/// Waits until that is so.
pub async fn until_true(mut is_so: impl FnMut() -> bool) {
    let looked = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(GUARD, looked).await.unwrap();
}

/// The same of what has to be asked for.
pub async fn until_async(is_so: impl AsyncFn() -> bool) {
    let looked = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(GUARD, looked).await.unwrap();
}

/// Runs a supervisor within this process.
pub fn run(runner: Runner) -> JoinHandle<Result<(), Error>> {
    spawn(runner.run(CancellationToken::new()))
}

/// The children of a process's first thread.
pub fn children(pid: u32) -> Vec<u32> {
    let list = fs_err::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

pub fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Whether a process runs; a zombie does not.
pub fn runs(pid: u32) -> bool {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, fields)| !fields.trim_start().starts_with(['Z', 'X']))
}

/// An example program of this crate; cargo builds them with the tests.
pub fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    tests.parent().and_then(Path::parent).unwrap().join("examples").join(name)
}

#[expect(clippy::disallowed_methods, reason = "a test awaits it or drops its runtime")]
fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

#[expect(clippy::disallowed_methods, reason = "tests have no clock of their own")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}
