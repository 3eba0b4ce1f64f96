//! Starting the groups of a host as containers, each with a supervisor inside.

use std::{collections::BTreeSet, time::Duration};

use masque_container::{Engine, libraries_of_this_process};
use masque_fleet::export::{self, Unit};
use masque_supervisor::deploy::{self, Build, DeploySpec, Deployed, Inside, Progress, Start};
use masque_types::actor::Actor;
use serde_json::json;

use super::{Place, link::supervisor, place::state_name};
use crate::{App, Error, containers};

/// What containers share, beside the state directories of supervisors outside of them.
const SHARED: &str = "containers";

impl App {
    /// Starts the groups of a place as containers, in the order of their needs, and waits until they are well. Containers
    /// that run as they should are left alone.
    ///
    /// # Errors
    /// When no engine answers, an image cannot be built, or the engine refuses.
    pub async fn deploy_fleet(
        &self,
        actor: &Actor,
        place: &Place,
        build: Build,
        patience: Option<Duration>,
        tell: impl Fn(Progress),
    ) -> Result<Deployed, Error> {
        let engine = self.container_engine().await?;
        self.note_fleet(actor, "fleet.deploy", place, json!({ "groups": place.groups })).await?;
        Ok(deploy::deploy(&engine, &self.deployment(place, build, patience)?, tell).await?)
    }

    /// Ends the containers of a place, those that need others first.
    ///
    /// # Errors
    /// When no engine answers, or it does not end one.
    pub async fn undeploy_fleet(&self, actor: &Actor, place: &Place) -> Result<(), Error> {
        let engine = self.container_engine().await?;
        self.note_fleet(actor, "fleet.undeploy", place, json!({ "groups": place.groups })).await?;
        Ok(deploy::undeploy(&engine, &self.deployment(place, Build::Never, None)?).await?)
    }

    async fn container_engine(&self) -> Result<Engine, Error> {
        let socket = containers::socket(&self.host, &self.settings);
        Engine::connect(socket.as_deref()).await.map_err(|error| Error::environment(error.to_string()))
    }

    fn deployment(&self, place: &Place, build: Build, patience: Option<Duration>) -> Result<DeploySpec, Error> {
        let libraries = libraries_of_this_process().map_err(|error| Error::environment(error.to_string()))?;
        let inside = export::inside(&place.fleet);
        let host = place.host.clone();
        let start = move |unit: &Unit<'_>| {
            let groups = BTreeSet::from([unit.own_group().to_owned()]);
            let words = unit.command().unwrap_or_default();
            Inside {
                arguments: words.into_iter().skip(1).collect(),
                state: state_name(&inside, &inside.sources).join(supervisor(&host, &groups)),
            }
        };
        Ok(DeploySpec {
            fleet: place.fleet.clone(),
            host: place.host.clone(),
            groups: place.groups.clone(),
            home: self.host.home.join(state_name(&place.fleet, &place.manifest.canonical_files())).join(SHARED),
            environment: self.host.environment.clone(),
            executable: self.host.executable.clone(),
            libraries,
            start: Start::new(start),
            build,
            patience,
        })
    }
}
