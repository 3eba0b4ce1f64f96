//! Containers as the place of an environment's programs: finding the engine once, and one container for each
//! environment, or one that several share.
//!
//! A persona whose file says `shared` shares its container with environments of the same image, workspace, paths, limits
//! and policy. One that lists hosts never does: the network of a container is one, and so are its secrets. Nor does one
//! whose programs see the value of a secret: the others could read it there.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use masque_container::{Container, ContainerSpec, Engine, Exec, Lease, Pool, Sharing, libraries_of_this_process};
use masque_sandbox::{Child, Command, Expansion, Isolation, Launcher, Network, Profile};
use masque_types::persona;
use tempfile::TempDir;
use tokio::sync::{Mutex, RwLock};

use super::secrets::Secrets;
use crate::Error;

/// How long a container without users is kept.
const IDLE: Duration = Duration::from_secs(120);
/// How long a service of our own may take to answer.
const SERVICE_LIMIT: Duration = Duration::from_secs(30);
/// How often it is asked meanwhile.
const SERVICE_CHECK: Duration = Duration::from_millis(50);
/// What programs find where the image says nothing.
const DEFAULTS: [(&str, &str); 3] =
    [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/tmp"), ("TMPDIR", "/tmp")];

/// The containers of one process of Masque. Nothing is looked for before the first one is needed.
pub struct Containers {
    socket: Option<String>,
    /// What a Podman service of our own is started with.
    service_environment: BTreeMap<OsString, OsString>,
    launcher: Launcher,
    open: Mutex<Option<Open>>,
}

/// An engine that was found.
struct Open {
    engine: Engine,
    shared: Pool,
    service: Option<(Child, TempDir)>,
}

impl Containers {
    /// Containers of the engine at a socket, or of the first one that is found. When none answers, a Podman service is
    /// started with these variables and ends with [`Containers::close`].
    #[must_use]
    pub fn new(socket: Option<String>, service_environment: BTreeMap<OsString, OsString>, launcher: Launcher) -> Self {
        Self { socket, service_environment, launcher, open: Mutex::new(None) }
    }

    /// What the engine says about itself.
    ///
    /// # Errors
    /// When none answers.
    pub async fn engine(&self) -> Result<String, Error> {
        let engine = Engine::connect(self.socket.as_deref()).await.map_err(Error::Container)?;
        Ok(engine.info().to_string())
    }

    /// Stops all containers, and the service if it is ours.
    pub async fn close(&self) {
        let Some(Open { shared, service, .. }) = self.open.lock().await.take() else { return };
        shared.close().await;
        if let Some((mut child, _directory)) = service
            && let Err(error) = child.kill().await
        {
            tracing::warn!(%error, "the container service could not be ended");
        }
    }

    /// A place in a container that several environments share.
    pub(super) async fn lease(
        &self,
        persona: &str,
        policy: &str,
        spec: &ContainerSpec,
        expansion: Expansion,
    ) -> Result<House, Error> {
        let mut open = self.open.lock().await;
        let open = self.opened(&mut open).await?;
        let lease = open.shared.lease(persona, policy, spec, Box::new(expansion)).await.map_err(Error::Container)?;
        Ok(House(RwLock::new(Some(Occupied::Shared(lease)))))
    }

    /// A container of an environment's own.
    pub(super) async fn start(&self, spec: &ContainerSpec, expansion: Expansion) -> Result<House, Error> {
        let engine = {
            let mut open = self.open.lock().await;
            self.opened(&mut open).await?.engine.clone()
        };
        let container = engine.start(spec, Box::new(expansion)).await.map_err(Error::Container)?;
        Ok(House(RwLock::new(Some(Occupied::Own(container)))))
    }

    async fn opened<'a>(&self, open: &'a mut Option<Open>) -> Result<&'a Open, Error> {
        if open.is_none() {
            *open = Some(self.connect().await?);
        }
        open.as_ref().ok_or(Error::Container(masque_container::Error::Gone))
    }

    async fn connect(&self) -> Result<Open, Error> {
        let (engine, service) = match Engine::connect(self.socket.as_deref()).await {
            Ok(engine) => (engine, None),
            Err(error @ masque_container::Error::NoEngine { .. }) if self.socket.is_none() => {
                let (engine, child, directory) = self.serve(error).await?;
                (engine, Some((child, directory)))
            }
            Err(error) => return Err(Error::Container(error)),
        };
        // What owners that died left behind goes before anything new comes.
        if let Err(error) = engine.sweep().await {
            tracing::warn!(%error, "old containers could not be looked for");
        }
        let shared = Pool::new(engine.clone(), Sharing::Shared, IDLE);
        Ok(Open { engine, shared, service })
    }

    /// Starts a Podman service for this process.
    async fn serve(&self, missing: masque_container::Error) -> Result<(Engine, Child, TempDir), Error> {
        let directory = tempfile::Builder::new().prefix("masque-podman-").tempdir().map_err(Error::Temporary)?;
        let socket = directory.path().join("engine.sock");
        let (program, args) = masque_container::service_command(&socket, None);
        let command =
            Command { program, args, env: self.service_environment.clone(), directory: directory.path().to_path_buf() };
        let profile = Profile { isolation: Isolation::None, ..Profile::new(directory.path().to_path_buf()) };
        // Without Podman the first answer is the one that says what to do.
        let Ok(mut child) = self.launcher.spawn(&profile, &command) else { return Err(Error::Container(missing)) };
        let connecting = async {
            loop {
                if let Ok(engine) = Engine::connect(socket.to_str()).await {
                    return engine;
                }
                tokio::time::sleep(SERVICE_CHECK).await;
            }
        };
        let connected = tokio::select! {
            engine = tokio::time::timeout(SERVICE_LIMIT, connecting) => engine.ok(),
            _ = child.wait() => None,
        };
        match connected {
            Some(engine) => Ok((engine, child, directory)),
            None => Err(Error::Container(missing)),
        }
    }
}

impl std::fmt::Debug for Containers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Containers").field("socket", &self.socket).finish_non_exhaustive()
    }
}

/// A container in use.
pub(crate) struct House(RwLock<Option<Occupied>>);

enum Occupied {
    Own(Container),
    Shared(Lease),
}

impl House {
    /// Starts a program in it.
    ///
    /// # Errors
    /// When it cannot be executed, or the container is gone.
    pub(crate) async fn exec(&self, mut exec: Exec) -> Result<masque_container::Session, masque_container::Error> {
        for (name, value) in DEFAULTS {
            exec.env.entry(name.into()).or_insert_with(|| value.into());
        }
        match &*self.0.read().await {
            Some(Occupied::Own(container)) => container.exec(exec).await,
            Some(Occupied::Shared(lease)) => lease.exec(exec).await,
            None => Err(masque_container::Error::Gone),
        }
    }

    /// The number of its first process on this machine.
    pub(super) async fn process_id(&self) -> Option<u32> {
        match &*self.0.read().await {
            Some(Occupied::Own(container)) => container.process_id(),
            Some(Occupied::Shared(lease)) => lease.process_id(),
            None => None,
        }
    }

    /// Ends the use: a container of one's own is gone then.
    pub(super) async fn leave(&self) {
        if let Some(Occupied::Own(container)) = self.0.write().await.take()
            && let Err(error) = container.stop().await
        {
            tracing::warn!(%error, "a container could not be removed");
        }
    }
}

impl std::fmt::Debug for House {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("House").finish_non_exhaustive()
    }
}

/// Whether an environment may be in a container with others.
pub(super) fn may_share(container: &persona::ContainerSpec, secrets: &Secrets) -> bool {
    container.shared && secrets.exposed().is_empty()
}

/// The container of a profile.
///
/// # Errors
/// When the workspace cannot be looked through, or this process's libraries cannot be found.
pub(super) fn spec(
    label: &str,
    profile: &Profile,
    container: &persona::ContainerSpec,
    files: BTreeMap<PathBuf, PathBuf>,
) -> Result<(ContainerSpec, Expansion), Error> {
    let failed = |source| Error::Sandbox { server: "the container".to_owned(), source };
    let expansion = Expansion::of(profile).map_err(failed)?;
    let masque = profile.masque.clone().unwrap_or_default();
    let spec = ContainerSpec {
        label: label.to_owned(),
        writable: profile.writable.clone(),
        readable: profile.readable.clone(),
        hidden: expansion.hidden.clone(),
        read_only: protected(profile, &expansion),
        files,
        libraries: libraries_of_this_process().map_err(Error::Container)?,
        tmp_bytes: profile.limits.tmp_bytes,
        memory_bytes: profile.limits.memory_bytes,
        pids: profile.limits.pids,
        open_files: profile.limits.open_files,
        network: match profile.network {
            Network::Host => masque_container::Network::Host,
            _ => masque_container::Network::None,
        },
        runtime: container.runtime.clone(),
        ..ContainerSpec::new(&container.image, expansion.workspace.clone(), masque)
    };
    Ok((spec, expansion))
}

/// What has to be protected: a container takes only what lies in something that can be written.
fn protected(profile: &Profile, expansion: &Expansion) -> Vec<PathBuf> {
    let writable = |path: &&PathBuf| profile.writable.iter().any(|writable| path.starts_with(writable));
    expansion.read_only.iter().filter(writable).cloned().collect()
}

/// The words that start the tool server inside.
///
/// # Errors
/// When the executable cannot be read.
pub(super) fn masque_words(masque: &Path) -> Result<Vec<OsString>, Error> {
    let libraries = libraries_of_this_process().map_err(Error::Container)?;
    let words = masque_container::masque_words(masque, &libraries).map_err(Error::Container)?;
    Ok(words.into_iter().map(OsString::from).collect())
}

/// A container in use, shared by all programs of an environment.
pub(crate) type SharedHouse = Arc<House>;

#[cfg(test)]
mod tests {
    use masque_types::{
        persona::{Injection, Persona, SecretGrant},
        secret::Secret,
    };

    use super::*;
    use crate::environment::secrets::HeldSecret;

    #[test]
    fn a_container_with_the_value_of_a_secret_is_not_shared() {
        let secrets = |inject| {
            let grant = SecretGrant { name: "TOKEN".to_owned(), inject, hosts: Vec::new() };
            Secrets::deal(&Persona::new("p"), vec![HeldSecret { grant, value: Secret::new("canary") }])
        };
        let container = |shared| persona::ContainerSpec { image: "python".to_owned(), shared, runtime: None };
        assert!(may_share(&container(true), &Secrets::default()));
        assert!(may_share(&container(true), &secrets(Injection::Header)));
        assert!(!may_share(&container(true), &secrets(Injection::Environment)));
        assert!(!may_share(&container(false), &Secrets::default()));
    }
}
