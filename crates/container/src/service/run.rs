//! Starting, finding and ending containers that run on.

use std::collections::{BTreeMap, HashMap};

use bollard::{
    container::LogOutput,
    errors::Error as ApiError,
    exec::{StartExecOptions, StartExecResults},
    models::{
        ContainerInspectResponse, ContainerStateStatusEnum, ExecConfig, Ipam, IpamConfig, NetworkCreateRequest,
        VolumeCreateRequest,
    },
    query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, InspectNetworkOptions, LogsOptionsBuilder,
        StartContainerOptions, StopContainerOptionsBuilder, WaitContainerOptionsBuilder,
    },
};
use futures::StreamExt as _;

use super::{MountSource, NetworkJoin, ServiceSpec, request::request};
use crate::{Engine, Error};

/// The most bytes of a line that is looked at.
const LINE: usize = 1 << 20;

/// What a start did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It was made and started.
    New,
    /// Another one of its name ended and was replaced.
    Replaced,
    /// It runs already as it was asked for.
    Unchanged,
}

/// How a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceState {
    /// The engine's id of it.
    pub id: String,
    /// Whether its first process runs.
    pub is_running: bool,
    /// Its first process, as this machine numbers it.
    pub process: Option<u32>,
    /// Its address in the network that it joined.
    pub address: Option<String>,
    /// How its first process ended, when it did.
    pub exit_code: Option<i64>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Engine {
    /// Starts a container that runs on when this process ends. One of that name that runs with the same labels is left
    /// as it is; another one of that name is ended first, if `replaces` says of its labels that it may be.
    ///
    /// # Errors
    /// When the image is not there, something else has the name, or the engine refuses; nothing new remains then.
    pub async fn start_service(
        &self,
        spec: &ServiceSpec,
        replaces: impl Fn(&BTreeMap<String, String>) -> bool,
    ) -> Result<Started, Error> {
        let (image, _) = self.image(&spec.image).await?;
        let mut started = Started::New;
        if let Some(found) = self.service(&spec.name).await? {
            if found.is_running && spec.labels.iter().all(|(name, value)| found.labels.get(name) == Some(value)) {
                return Ok(Started::Unchanged);
            }
            if !replaces(&found.labels) {
                return Err(Error::Value {
                    what: "container name",
                    problem: format!("`{}` is taken by another container: remove or rename that one", spec.name),
                });
            }
            self.stop_service(&spec.name, spec.stop_grace).await?;
            started = Started::Replaced;
        }
        self.prepare(spec).await?;
        let body = request(self, spec, image)?;
        let options = CreateContainerOptionsBuilder::default().name(&spec.name).build();
        let made = self.api().create_container(Some(options), body).await.map_err(self.failed("make a container"))?;
        for warning in made.warnings {
            tracing::warn!(engine = %self.info(), name = spec.name, %warning, "the engine warns about a container");
        }
        match self.api().start_container(&made.id, None::<StartContainerOptions>).await {
            Ok(()) => Ok(started),
            Err(error) => {
                self.remove(&made.id).await?;
                Err(self.failed("start a container")(error))
            }
        }
    }

    /// Makes what the container needs and is not there: its network, its volumes, directories that are mounted.
    async fn prepare(&self, spec: &ServiceSpec) -> Result<(), Error> {
        match &spec.network {
            NetworkJoin::Host => {}
            NetworkJoin::Named { name, external: true, .. } => {
                if !self.has_network(name).await? {
                    return Err(external("network", name));
                }
            }
            NetworkJoin::Named { name, subnet, .. } => self.ensure_network(name, subnet.as_deref()).await?,
        }
        for mount in &spec.mounts {
            match &mount.source {
                MountSource::Volume(name) => self.ensure_volume(name).await?,
                MountSource::External(name) if !self.has_volume(name).await? => return Err(external("volume", name)),
                MountSource::External(_) => {}
                MountSource::Path(path) if !path.exists() => {
                    fs_err::create_dir_all(path).map_err(Error::system("make a directory for a container"))?;
                }
                MountSource::Path(_) => {}
            }
        }
        Ok(())
    }

    /// Makes a bridged network unless one of that name is there.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn ensure_network(&self, name: &str, subnet: Option<&str>) -> Result<(), Error> {
        if self.has_network(name).await? {
            return Ok(());
        }
        let config = subnet.map(|subnet| vec![IpamConfig { subnet: Some(subnet.to_owned()), ..IpamConfig::default() }]);
        let request = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            ipam: config.map(|config| Ipam { config: Some(config), ..Ipam::default() }),
            ..NetworkCreateRequest::default()
        };
        match self.api().create_network(request).await {
            // 409: somebody made it meanwhile.
            Ok(_) | Err(ApiError::DockerResponseServerError { status_code: 409, .. }) => Ok(()),
            Err(error) => Err(self.failed("make a network")(error)),
        }
    }

    /// Makes a volume unless one of that name is there.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn ensure_volume(&self, name: &str) -> Result<(), Error> {
        if self.has_volume(name).await? {
            return Ok(());
        }
        let request = VolumeCreateRequest { name: Some(name.to_owned()), ..VolumeCreateRequest::default() };
        match self.api().create_volume(request).await {
            Ok(_) | Err(ApiError::DockerResponseServerError { status_code: 409, .. }) => Ok(()),
            Err(error) => Err(self.failed("make a volume")(error)),
        }
    }

    async fn has_network(&self, name: &str) -> Result<bool, Error> {
        match self.api().inspect_network(name, None::<InspectNetworkOptions>).await {
            Ok(_) => Ok(true),
            Err(ApiError::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
            Err(error) => Err(self.failed("look at a network")(error)),
        }
    }

    async fn has_volume(&self, name: &str) -> Result<bool, Error> {
        match self.api().inspect_volume(name).await {
            Ok(_) => Ok(true),
            Err(ApiError::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
            Err(error) => Err(self.failed("look at a volume")(error)),
        }
    }

    /// How the container of that name is; none when there is none.
    ///
    /// # Errors
    /// When the engine does not tell.
    pub async fn service(&self, name: &str) -> Result<Option<ServiceState>, Error> {
        let found = match self.api().inspect_container(name, None::<InspectContainerOptions>).await {
            Err(ApiError::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
            // Podman knows states of a container that the client does not.
            Err(ApiError::JsonDataError { contents, .. }) => {
                without_status(&contents).map_err(self.failed("look at a container"))?
            }
            found => found.map_err(self.failed("look at a container"))?,
        };
        let state = found.state.unwrap_or_default();
        let networks = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let address =
            networks.into_values().filter_map(|network| network.ip_address).find(|address| !address.is_empty());
        let labels: HashMap<_, _> = found.config.and_then(|config| config.labels).unwrap_or_default();
        let is_running = state.running.unwrap_or_default();
        let never = [Some(ContainerStateStatusEnum::CREATED), Some(ContainerStateStatusEnum::EMPTY)];
        let has_ended = !is_running && !never.contains(&state.status);
        let process = state.pid.and_then(|process| u32::try_from(process).ok()).filter(|process| *process > 0);
        Ok(Some(ServiceState {
            id: found.id.unwrap_or_default(),
            is_running,
            process: process.filter(|_| is_running),
            address,
            exit_code: state.exit_code.filter(|_| has_ended),
            labels: labels.into_iter().collect(),
        }))
    }

    /// Waits until the first process of a container has ended, and gives its exit code.
    ///
    /// # Errors
    /// When the engine does not tell.
    pub async fn service_end(&self, name: &str) -> Result<i64, Error> {
        let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
        let mut ends = std::pin::pin!(self.api().wait_container(name, Some(options)));
        match ends.next().await {
            Some(Ok(end)) => Ok(end.status_code),
            Some(Err(ApiError::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(self.failed("wait for a container")(error)),
            None => Err(Error::Gone),
        }
    }

    /// Executes a program in a running container, without input and without reading what it prints, and gives its exit
    /// code.
    ///
    /// # Errors
    /// When the engine refuses, or there is no such program.
    pub async fn execute_in_service(&self, name: &str, words: Vec<String>) -> Result<i64, Error> {
        let failed = self.failed("execute a program in a container");
        let config = ExecConfig { cmd: Some(words), attach_stdout: Some(true), ..ExecConfig::default() };
        let made = self.api().create_exec(name, config).await.map_err(&failed)?;
        let started = self.api().start_exec(&made.id, None::<StartExecOptions>).await.map_err(&failed)?;
        if let StartExecResults::Attached { mut output, .. } = started {
            while let Some(part) = output.next().await {
                part.map_err(&failed)?;
            }
        }
        let found = self.api().inspect_exec(&made.id).await.map_err(&failed)?;
        Ok(found.exit_code.unwrap_or(-1))
    }

    /// The engine's id of an image, which changes when it is built anew.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn image_id(&self, name: &str) -> Result<String, Error> {
        Ok(self.image(name).await?.0)
    }

    /// The last lines that a container printed.
    ///
    /// # Errors
    /// When the engine does not tell.
    pub async fn service_output(&self, name: &str, lines: usize) -> Result<String, Error> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&lines.to_string()).build();
        let mut stream = std::pin::pin!(self.api().logs(name, Some(options)));
        let mut text = String::new();
        while let Some(part) = stream.next().await {
            let part = part.map_err(self.failed("read what a container printed"))?;
            text.push_str(&String::from_utf8_lossy(&part.into_bytes()));
        }
        Ok(text)
    }

    /// Waits for a line that a container prints, from its start on. False when it ended without one.
    ///
    /// # Errors
    /// When the engine does not tell.
    pub async fn service_says(&self, name: &str, is_awaited: impl Fn(&[u8]) -> bool) -> Result<bool, Error> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).follow(true).build();
        let mut stream = std::pin::pin!(self.api().logs(name, Some(options)));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        while let Some(part) = stream.next().await {
            let part = part.map_err(self.failed("read what a container prints"))?;
            let begun = if matches!(part, LogOutput::StdErr { .. }) { &mut err } else { &mut out };
            begun.extend_from_slice(&part.into_bytes());
            // Nobody awaits a line that never ends.
            if begun.len() > LINE {
                begun.clear();
            }
            while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = begun.drain(..=end).collect();
                if is_awaited(line.trim_ascii_end()) {
                    return Ok(true);
                }
            }
        }
        Ok(is_awaited(&out) || is_awaited(&err))
    }

    /// Asks a container to end, kills it after its grace, and removes it. One that is not there is no error.
    ///
    /// # Errors
    /// When the engine does not do it.
    pub async fn stop_service(&self, name: &str, grace: std::time::Duration) -> Result<(), Error> {
        let seconds = i32::try_from(grace.as_secs().max(1)).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        match self.api().stop_container(name, Some(options)).await {
            // 304: it has ended already. 404: there is none.
            Ok(()) | Err(ApiError::DockerResponseServerError { status_code: 304 | 404, .. }) => {}
            Err(error) => return Err(self.failed("stop a container")(error)),
        }
        self.remove(name).await
    }

    /// Names and tags of all images that the engine has.
    ///
    /// # Errors
    /// When it does not list them.
    pub async fn images(&self) -> Result<std::collections::BTreeSet<String>, Error> {
        let listed = self.api().list_images(None::<bollard::query_parameters::ListImagesOptions>).await;
        let listed = listed.map_err(self.failed("list images"))?;
        Ok(listed.into_iter().flat_map(|image| image.repo_tags).collect())
    }
}

/// What somebody else should have made.
fn external(what: &'static str, name: &str) -> Error {
    let problem = format!("there is no external {what} `{name}`: make it with `podman {what} create {name}`");
    Error::Value { what, problem }
}

/// What an engine says of a container, without the word for its state.
fn without_status(contents: &str) -> Result<ContainerInspectResponse, ApiError> {
    let mut document: serde_json::Value = serde_json::from_str(contents)?;
    if let Some(state) = document.get_mut("State").and_then(serde_json::Value::as_object_mut) {
        state.remove("Status");
    }
    Ok(serde_json::from_value(document)?)
}
