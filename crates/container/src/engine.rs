//! The engine behind its socket: [`Engine`] finds it, starts containers, and removes what dead owners left.

use std::{collections::HashMap, ffi::OsString, path::Path, sync::Arc, time::Duration};

use bollard::{
    API_DEFAULT_VERSION, Docker,
    errors::Error as ApiError,
    models::{ImageConfig, SystemInfo, SystemVersion},
    query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
        RemoveContainerOptionsBuilder, StartContainerOptions, WaitContainerOptionsBuilder,
    },
};
use futures::StreamExt as _;

use crate::{
    Container, ContainerSpec, Error, Guard, Network,
    expectation::Expectation,
    handshake::Rendezvous,
    inside,
    libraries::Loading,
    owner::{LABEL, Owner},
    places::Places,
    protocol::{Report, Welcome},
    request,
};

/// How long one request to the engine may take, in seconds.
const REQUEST_SECONDS: u64 = 120;
/// How long the first process of a container may take to report: milliseconds, a loaded machine more.
const REPORT_LIMIT: Duration = Duration::from_secs(60);
/// How long an engine may take to remove a container that it has killed.
const REMOVAL_LIMIT: Duration = Duration::from_secs(60);
/// How often it is asked whether it has.
const REMOVAL_PAUSE: Duration = Duration::from_millis(20);

/// Which engine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Podman.
    Podman,
    /// Docker, or another one that speaks its API.
    Docker,
}

/// What an engine says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Which engine it is.
    pub kind: EngineKind,
    /// Its version.
    pub version: String,
    /// The socket on which it answers.
    pub socket: String,
    /// Whether it runs without root rights.
    pub rootless: bool,
    /// The OCI runtimes that it knows; Podman lists some that are not installed.
    pub runtimes: Vec<String>,
    /// The OCI runtime that it uses unless it is told.
    pub default_runtime: String,
    /// Limits that it cannot enforce.
    pub unenforceable: Vec<&'static str>,
}

impl std::fmt::Display for EngineInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.kind {
            EngineKind::Podman => "Podman",
            EngineKind::Docker => "Docker",
        };
        write!(f, "{name} {} on {}", self.version, self.socket)
    }
}

/// A container that some Masque process has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The engine's id of it.
    pub id: String,
    /// Whether that process certainly is gone.
    pub is_orphan: bool,
}

/// An engine that answers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    api: Docker,
    info: Arc<EngineInfo>,
}

impl Engine {
    /// Finds an engine: at the given socket (a path, or `unix://` and a path), otherwise Podman of the machine, Podman
    /// of the user, Docker.
    ///
    /// # Errors
    /// When none answers.
    pub async fn connect(socket: Option<&str>) -> Result<Self, Error> {
        let sockets = match socket {
            Some(given) => vec![path_of(given)?],
            None => known_sockets(),
        };
        let mut tried = Vec::new();
        for socket in sockets {
            match Self::connect_to(&socket).await {
                Ok(engine) => return Ok(engine),
                Err(ApiError::SocketNotFoundError(_)) => tried.push(format!("{socket} (no such socket)")),
                Err(error) => tried.push(format!("{socket} ({})", chain(&error))),
            }
        }
        Err(Error::NoEngine { tried: tried.join(", ") })
    }

    async fn connect_to(socket: &str) -> Result<Self, ApiError> {
        let api = Docker::connect_with_unix(socket, REQUEST_SECONDS, API_DEFAULT_VERSION)?.negotiate_version().await?;
        let (version, system) = (api.version().await?, api.info().await?);
        Ok(Self { api, info: Arc::new(info(socket, version, system)) })
    }

    /// The engine's own interface.
    pub(crate) fn api(&self) -> &Docker {
        &self.api
    }

    /// What it says about itself.
    #[must_use]
    pub fn info(&self) -> &EngineInfo {
        &self.info
    }

    /// Starts a container that waits for programs. The guard is kept until it is gone.
    ///
    /// # Errors
    /// When the engine lacks something, refuses, or does not enforce what the spec asks for; nothing remains then.
    pub async fn start(&self, spec: &ContainerSpec, guard: Guard) -> Result<Container, Error> {
        self.check(spec)?;
        let image = self.image(&spec.image).await?;
        let rendezvous = Rendezvous::open()?;
        let mut places = Places::of(spec, &rendezvous.covers())?;
        let loading = Loading::of(&spec.masque, &spec.libraries)?;
        places.add(&spec.masque, Path::new(inside::MASQUE), true)?;
        for (library, inside) in &loading.places {
            places.add(library, inside, true)?;
        }
        places.add(&rendezvous.socket(), Path::new(inside::CONTROL), true)?;
        let body = request::request(self, spec, image, &places, loading.words)?;
        let options = CreateContainerOptionsBuilder::default().name(&request::name(&spec.label)).build();
        let made = self.api.create_container(Some(options), body).await;
        let made = made.map_err(self.failed("make a container"))?;
        for warning in made.warnings {
            tracing::warn!(engine = %self.info, image = spec.image, %warning, "the engine warns about a container");
        }
        let local_sockets = spec.network == Network::None;
        let welcome = Welcome { expectations: expectations(spec, &places)?, local_sockets };
        match self.bring_up(&made.id, spec, rendezvous, &welcome).await {
            Ok((control, process)) => Ok(Container::new(self.clone(), made.id, process, control, guard)),
            Err(error) => {
                if let Err(error) = self.remove(&made.id).await {
                    tracing::warn!(%error, id = made.id, "a container that did not come up could not be removed");
                }
                Err(error)
            }
        }
    }

    async fn bring_up(
        &self,
        id: &str,
        spec: &ContainerSpec,
        rendezvous: Rendezvous,
        welcome: &Welcome,
    ) -> Result<(tokio::net::UnixStream, Option<u32>), Error> {
        let started = self.api.start_container(id, None::<StartContainerOptions>).await;
        started.map_err(self.failed("start a container"))?;
        let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
        let mut ends = std::pin::pin!(self.api.wait_container(id, Some(options)));
        let silent = |problem: String| Error::Init { image: spec.image.clone(), problem };
        let (control, report) = tokio::select! {
            met = tokio::time::timeout(REPORT_LIMIT, rendezvous.meet(welcome)) => match met {
                Ok(Err(Error::Gone)) => return Err(silent("its first process ended while it looked around".to_owned())),
                Ok(met) => met?,
                Err(_) => return Err(silent(format!("no report of its first process within {REPORT_LIMIT:?}"))),
            },
            end = ends.next() => return Err(silent(ended(end))),
        };
        self.judge(spec, &report)?;
        let found = self.api.inspect_container(id, None::<InspectContainerOptions>).await;
        let state = found.map_err(self.failed("look at a container"))?.state;
        let process = state.and_then(|state| state.pid).and_then(|process| u32::try_from(process).ok());
        Ok((control, process.filter(|process| *process != 0)))
    }

    /// What the engine says that it cannot do.
    fn check(&self, spec: &ContainerSpec) -> Result<(), Error> {
        let info = &self.info;
        let needed = |limit: &&&str| **limit != "processors" || spec.milli_cpus.is_some();
        if let Some(limit) = info.unenforceable.iter().find(needed) {
            return Err(Error::Unenforceable {
                engine: info.to_string(),
                what: format!("a limit of {limit}"),
                hint: "give it the cgroup controllers memory, pids and cpu (an engine without root rights needs cgroups \
                       of version 2 and delegation)",
            });
        }
        let Some(runtime) = &spec.runtime else { return Ok(()) };
        let (known, hint) = match info.kind {
            EngineKind::Docker => (info.runtimes.clone(), "register it in /etc/docker/daemon.json".to_owned()),
            // Its API takes no runtime.
            EngineKind::Podman => {
                let hint =
                    format!("its service uses one for all: start it as `podman --runtime {runtime} system service`");
                (vec![info.default_runtime.clone()], hint)
            }
        };
        if known.iter().any(|known| known == runtime) {
            return Ok(());
        }
        let (engine, runtime) = (info.to_string(), runtime.clone());
        Err(Error::Runtime { engine, runtime, known: known.join(", "), hint })
    }

    /// The digest of an image, which stays the same whatever its name comes to mean, and what it declares.
    pub(crate) async fn image(&self, name: &str) -> Result<(String, ImageConfig), Error> {
        let found = match self.api.inspect_image(name).await {
            Err(ApiError::DockerResponseServerError { status_code: 404, .. }) => {
                let program = match self.info.kind {
                    EngineKind::Podman => "podman",
                    EngineKind::Docker => "docker",
                };
                return Err(Error::Image { image: name.to_owned(), command: format!("{program} pull {name}") });
            }
            result => result.map_err(self.failed("look at an image"))?,
        };
        let digest = found.id.filter(|id| !id.is_empty());
        Ok((digest.unwrap_or_else(|| name.to_owned()), found.config.unwrap_or_default()))
    }

    /// Compares what the first process found with what was asked for.
    fn judge(&self, spec: &ContainerSpec, report: &Report) -> Result<(), Error> {
        let mut problems = report.unmet.clone();
        let mut require = |met: bool, problem: &str| {
            if !met {
                problems.push(problem.to_owned());
            }
        };
        require(report.capabilities == 0, "programs have capabilities");
        require(report.root_read_only, "the root is writable");
        require(spec.network == Network::Host || report.routes.is_empty(), "there is a network");
        // Another kernel between has its own ways, which it does not show.
        if spec.runtime.is_none() {
            require(report.no_new_privileges, "programs can gain privileges");
            require(report.filtered, "there is no system call filter");
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::NotEnforced { engine: self.info.to_string(), problems: problems.join("; ") })
    }

    /// The containers of this and other Masque processes, running or not.
    ///
    /// # Errors
    /// When the engine does not list them.
    pub async fn containers(&self) -> Result<Vec<Found>, Error> {
        let filters = HashMap::from([("label".to_owned(), vec![LABEL.to_owned()])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let listed = match self.api.list_containers(Some(options)).await {
            Ok(listed) => {
                listed.into_iter().filter_map(|one| Some((one.id?, one.labels.unwrap_or_default()))).collect()
            }
            // Podman knows states of a container that the client does not.
            Err(ApiError::JsonDataError { contents, .. }) => {
                listed_in(&contents).map_err(self.failed("list containers"))?
            }
            Err(error) => return Err(self.failed("list containers")(error)),
        };
        let found = |(id, labels): Labelled| {
            let owner = labels.get(LABEL).and_then(|label| Owner::parse(label));
            Found { id, is_orphan: owner.is_some_and(|owner| owner.is_dead()) }
        };
        Ok(Vec::into_iter(listed).map(found).collect())
    }

    /// Removes the containers whose owners are gone; gives their ids.
    ///
    /// # Errors
    /// When the engine does not list or remove them.
    pub async fn sweep(&self) -> Result<Vec<String>, Error> {
        let mut removed = Vec::new();
        for container in self.containers().await?.into_iter().filter(|container| container.is_orphan) {
            self.remove(&container.id).await?;
            removed.push(container.id);
        }
        Ok(removed)
    }

    /// Kills and removes a container, and waits until it is gone.
    pub(crate) async fn remove(&self, id: &str) -> Result<(), Error> {
        let failed = self.failed("remove a container");
        let mut last = ApiError::RequestTimeoutError;
        let removing = async {
            loop {
                let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
                match self.api.remove_container(id, Some(options)).await {
                    Err(ApiError::DockerResponseServerError { status_code: 404, .. }) => return Ok(()),
                    Ok(()) => {}
                    // 409: it is being removed already. Podman answers 500 when its own removal came in between.
                    Err(error @ ApiError::DockerResponseServerError { status_code: 409 | 500, .. }) => last = error,
                    Err(error) => return Err(error),
                }
                tokio::time::sleep(REMOVAL_PAUSE).await;
            }
        };
        let removed = tokio::time::timeout(REMOVAL_LIMIT, removing).await;
        removed.unwrap_or(Err(last)).map_err(failed)
    }

    pub(crate) fn failed(&self, doing: &'static str) -> impl Fn(ApiError) -> Error {
        let engine = self.info.to_string();
        move |source| Error::Engine { engine: engine.clone(), doing, source: Box::new(source) }
    }
}

/// The program and the arguments that start a Podman service on a socket, for callers that start one when
/// [`Error::NoEngine`] is the answer. It serves until it is killed; its containers end with their owners.
#[must_use]
pub fn service_command(socket: &Path, runtime: Option<&str>) -> (OsString, Vec<OsString>) {
    let mut address = OsString::from("unix://");
    address.push(socket);
    let runtime = runtime.into_iter().flat_map(|runtime| ["--runtime".into(), runtime.into()]);
    let rest = ["system", "service", "--time", "0"].map(OsString::from);
    ("podman".into(), runtime.chain(rest).chain([address]).collect())
}

fn known_sockets() -> Vec<String> {
    let user = rustix::process::geteuid().as_raw();
    vec![
        "/run/podman/podman.sock".to_owned(),
        format!("/run/user/{user}/podman/podman.sock"),
        "/var/run/docker.sock".to_owned(),
    ]
}

fn path_of(given: &str) -> Result<String, Error> {
    let path = given.strip_prefix("unix://").unwrap_or(given);
    if Path::new(path).is_absolute() {
        return Ok(path.to_owned());
    }
    let problem =
        format!("`{given}` is not the path of a UNIX socket on this machine: workspaces are mounted from here");
    Err(Error::Value { what: "container engine", problem })
}

fn info(socket: &str, version: SystemVersion, system: SystemInfo) -> EngineInfo {
    let components = version.components.unwrap_or_default();
    let is_podman = components.iter().any(|component| component.name.to_ascii_lowercase().contains("podman"));
    let options = system.security_options.unwrap_or_default();
    let limits =
        [("memory", system.memory_limit), ("processes", system.pids_limit), ("processors", system.cpu_cfs_quota)];
    let mut runtimes: Vec<String> = system.runtimes.unwrap_or_default().into_keys().collect();
    runtimes.sort();
    EngineInfo {
        kind: if is_podman { EngineKind::Podman } else { EngineKind::Docker },
        version: version.version.unwrap_or_default(),
        socket: socket.to_owned(),
        rootless: options.iter().any(|option| option.contains("rootless")),
        runtimes,
        default_runtime: system.default_runtime.unwrap_or_default(),
        unenforceable: limits.into_iter().filter(|(_, has)| *has == Some(false)).map(|(limit, _)| limit).collect(),
    }
}

/// What must be true of each mount. A kernel between shows its own numbers of files.
fn expectations(spec: &ContainerSpec, places: &Places) -> Result<Vec<Expectation>, Error> {
    let own_kernel = spec.runtime.is_none();
    let mounts = places.mounts.iter().map(|(inside, place)| {
        Ok(Expectation {
            path: crate::places::check(inside)?.to_owned(),
            identity: own_kernel.then_some(place.identity),
            read_only: place.read_only,
            usable: false,
        })
    });
    let cache = spec
        .cache
        .iter()
        .map(|_| Ok(Expectation { path: inside::CACHE.to_owned(), identity: None, read_only: false, usable: true }));
    mounts.chain(cache).collect()
}

/// Id and labels of a container.
type Labelled = (String, HashMap<String, String>);

/// Ids and labels of listed containers.
fn listed_in(answer: &str) -> Result<Vec<Labelled>, ApiError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed {
        id: String,
        labels: Option<HashMap<String, String>>,
    }
    let listed: Vec<Listed> = serde_json::from_str(answer)?;
    Ok(listed.into_iter().map(|one| (one.id, one.labels.unwrap_or_default())).collect())
}

fn ended(end: Option<Result<bollard::models::ContainerWaitResponse, ApiError>>) -> String {
    match end {
        Some(Ok(response)) => format!("its first process ended with code {}", response.status_code),
        Some(Err(ApiError::DockerContainerWaitError { code, .. })) => {
            format!("its first process ended with code {code}")
        }
        Some(Err(error)) => format!("its first process ended: {}", chain(&error)),
        None => "its first process ended".to_owned(),
    }
}

/// An error with its causes, which the API's client leaves out.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text = format!("{text}: {next_text}");
        }
        cause = next.source();
    }
    text
}
