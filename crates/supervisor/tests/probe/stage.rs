//! A service in a directory of its own, and what watches it.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use masque_fleet::model::{
    Check, Command, Host, Kind, Limits, Logs, Probe, Program, Restart, Service, ServiceId, Start, Stop,
};
use masque_sandbox::service::{ServiceGroups, ServiceProcess};
use masque_supervisor::{
    logs::{Capture, LogSpec},
    machine::{Outcome, Which},
    probe::{Begin, Checked, Hooks, Prober},
    process::{Instance, Surroundings},
};
use masque_types::time::Timestamp;
use tokio::{sync::mpsc, task::JoinSet};

/// Only against hanging.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

pub(crate) async fn guarded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(GUARD, future).await.unwrap()
}

/// A service that is a line of shell.
pub(crate) fn service(line: &str, directory: &Path, ready: Option<Check>) -> Service {
    Service {
        id: ServiceId::new("pc1", "agent"),
        group: None,
        description: None,
        kind: Kind::Service,
        start: Start::Always,
        program: Program {
            command: Command::Shell(line.to_owned()),
            script: None,
            script_file: None,
            directory: directory.to_path_buf(),
            environment: BTreeMap::new(),
            pass: Vec::new(),
            account: None,
            umask: None,
            image: None,
        },
        listen: None,
        port: None,
        ports: BTreeMap::new(),
        dependencies: Vec::new(),
        ready: ready.map(probe),
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

/// A probe that asks often and waits long.
pub(crate) fn probe(check: Check) -> Probe {
    Probe { period: Duration::from_millis(20), timeout: GUARD, ..Probe::new(check) }
}

/// The environment of a supervisor.
pub(crate) fn own() -> BTreeMap<String, String> {
    let path = std::env::var("PATH").unwrap();
    BTreeMap::from([
        ("PATH".to_owned(), path),
        ("SECRET".to_owned(), "s".to_owned()),
        ("GIVEN".to_owned(), "g".to_owned()),
    ])
}

/// A service that may be started.
pub(crate) struct Stage {
    pub(crate) service: Service,
    pub(crate) instance: Instance,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) capture: Capture,
    pub(crate) surroundings: Arc<Surroundings>,
    pub(crate) hooks: Hooks,
}

impl Stage {
    pub(crate) fn new(line: &str, ready: Option<Check>) -> Self {
        Self::changed(line, ready, |_| ())
    }

    pub(crate) fn changed(line: &str, ready: Option<Check>, change: impl FnOnce(&mut Service)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut service = service(line, &directory.path().canonicalize().unwrap(), ready);
        change(&mut service);
        let random = u32::try_from(directory.path().as_os_str().len()).unwrap() ^ std::process::id();
        let name = directory.path().file_name().unwrap().to_string_lossy().replace('.', "");
        let instance = Instance::new(&format!("test-{name}"), &service.id, 1, random);
        let groups = ServiceGroups::default();
        let surroundings =
            Surroundings::of(&service, &Host::default(), &instance, &BTreeMap::new(), &own(), &groups).unwrap();
        let capture = capture(directory.path(), &service);
        let hooks = Hooks::prepare(&service, instance.cookie(), directory.path(), &capture).unwrap();
        Self { service, instance, directory, capture, surroundings: Arc::new(surroundings), hooks }
    }

    pub(crate) fn start(&mut self) -> Arc<ServiceProcess> {
        Arc::new(self.surroundings.start(self.hooks.take_additions(), &self.capture).unwrap())
    }

    pub(crate) fn prober(&mut self) -> Prober {
        let probe = self.service.ready.clone().unwrap();
        Prober::new(&probe, Which::Ready, &mut self.hooks, Arc::clone(&self.surroundings))
    }

    pub(crate) fn watch(&mut self, process: &Arc<ServiceProcess>) -> Watched {
        let (send, outcomes) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let tell = move |checked: Checked| _ = send.send(checked.outcome);
        tasks.spawn(self.prober().watch(Begin::Starting, Arc::clone(process), tell));
        Watched { outcomes, _tasks: tasks }
    }

    /// What a check of it finds.
    pub(crate) async fn check(check: Check) -> Outcome {
        let mut stage = Self::new("true", Some(check));
        guarded(stage.prober().check_once()).await.unwrap().outcome
    }
}

pub(crate) fn capture(directory: &Path, service: &Service) -> Capture {
    let (logs, pipes) = (directory.join("logs"), directory.join("pipes"));
    let name = service.id.name.clone();
    let clock = Arc::new(|| Timestamp(1_000));
    Capture::open(&LogSpec { service: name, logs, pipes, rules: service.logs.clone(), clock }).unwrap()
}

pub(crate) struct Watched {
    pub(crate) outcomes: mpsc::UnboundedReceiver<Outcome>,
    _tasks: JoinSet<()>,
}

impl Watched {
    pub(crate) async fn next(&mut self) -> Outcome {
        guarded(self.outcomes.recv()).await.unwrap()
    }

    /// Waits until it is healthy; what was found before.
    pub(crate) async fn healthy(&mut self) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            match self.next().await {
                Outcome::Healthy => return before,
                Outcome::Degraded(why) | Outcome::Unhealthy(why) => before.push(why),
            }
        }
    }
}

pub(crate) fn unhealthy(why: &str) -> Outcome {
    Outcome::Unhealthy(why.to_owned())
}
