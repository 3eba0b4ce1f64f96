//! The use cases of Masque, and the one place that names concrete parts.
//!
//! Owns: configuration, the composition of store, gateway, sandbox, tools and engine, and every use case: each takes
//! the [`Actor`](masque_types::actor::Actor) first, authorises, acts, audits. Leaves out surfaces: arguments,
//! rendering, protocols.

mod activity;
pub mod approvals;
pub mod audit;
mod authority;
mod border;
mod children;
pub mod clients;
mod clock;
pub mod commands;
pub mod config;
pub mod containers;
mod context;
pub mod conversations;
pub mod demo;
pub mod discovery;
pub mod doctor;
pub mod embedding;
mod environments;
mod error;
pub mod explain;
pub mod extraction;
pub mod fleet;
pub mod forks;
pub mod handoff;
pub mod home;
pub mod host;
pub mod jobs;
mod keys;
pub mod logins;
pub mod memory;
pub mod models;
pub mod personas;
pub mod rotation;
pub mod runs;
pub mod secrets;
pub mod sessions;
pub mod standards;
pub mod tokens;
pub mod tools;
pub mod trust;
mod worker;

use std::sync::Arc;

use masque_sandbox::Launcher;
use masque_store::Store;
use masque_tools::environment::Containers;
use masque_types::secret::Secret;

pub use crate::error::{Error, Kind};
use crate::{clock::SystemClock, config::Settings, host::Host};

/// Masque, composed: configuration, store and sandbox of one invocation.
pub struct App {
    /// What was configured, with the layer of each value.
    pub settings: Settings,
    /// The process that Masque runs in.
    pub host: Host,
    store: Store,
    launcher: Launcher,
    clock: Arc<SystemClock>,
    containers: Arc<Containers>,
    jobs: Arc<jobs::Memo>,
    standards: Arc<standards::Seen>,
    embedder: Arc<embedding::Chosen>,
}

impl App {
    /// Opens the store that the settings name.
    ///
    /// # Errors
    /// When the store cannot be opened; the message says why and what to do.
    pub async fn open(host: Host, settings: Settings) -> Result<Self, Error> {
        let store = open_store(&host, &settings).await?;
        let launcher = Launcher::detect(settings.landlock());
        let containers = Arc::new(containers::of(&host, &settings, &launcher));
        Ok(Self {
            settings,
            host,
            store,
            launcher,
            clock: Arc::new(SystemClock),
            containers,
            jobs: Arc::default(),
            standards: Arc::default(),
            embedder: Arc::default(),
        })
    }

    /// Another handle on the same parts, for what outlives a borrow. Closing one ends the parts for all.
    #[must_use]
    pub fn handle(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            host: self.host.clone(),
            store: self.store.clone(),
            launcher: self.launcher.clone(),
            clock: Arc::clone(&self.clock),
            containers: Arc::clone(&self.containers),
            jobs: Arc::clone(&self.jobs),
            standards: Arc::clone(&self.standards),
            embedder: Arc::clone(&self.embedder),
        }
    }

    /// Waits for everything that was started.
    ///
    /// # Errors
    /// When the store cannot be closed cleanly.
    pub async fn close(self) -> Result<(), Error> {
        self.containers.close().await;
        Ok(self.store.close().await?)
    }
}

async fn open_store(host: &Host, settings: &Settings) -> Result<Store, Error> {
    let url = settings.text("store.url");
    if url.is_empty() {
        return Ok(Store::open_sqlite(&host.home.join("masque.db")).await?);
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Store::connect_postgres(&Secret::new(url)).await?);
    }
    let path = url.strip_prefix("sqlite://").unwrap_or(&url);
    Ok(Store::open_sqlite(path.as_ref()).await?)
}
