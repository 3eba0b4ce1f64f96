//! [`deploy`] and [`undeploy`]: containers started in the order of their needs, and ended against it.

use std::time::Duration;

use masque_container::{Engine, Started};
use masque_fleet::{
    export::{Content, Unit, UnitCondition, UnitEdge, crossings, unit_edges},
    graph::Graph,
    model::ServiceId,
};
use tokio::sync::watch;

use super::{
    DeploySpec, Progress,
    health::{self, Running, Verdict},
    images,
    plan::{self, FLEET_LABEL},
};
use crate::Error;

/// How a deployment ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deployed {
    /// Containers that are well.
    pub well: Vec<String>,
    /// Containers that are not, with the reason.
    pub failed: Vec<(String, String)>,
}

/// How far a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Waiting,
    Started,
    Well,
    Failed(String),
}

struct Scene<'a, T> {
    engine: &'a Engine,
    spec: &'a DeploySpec,
    graph: Graph,
    units: Vec<Unit<'a>>,
    edges: Vec<Vec<UnitEdge>>,
    phases: Vec<watch::Sender<Phase>>,
    tell: T,
}

/// Builds images, starts containers as soon as those that they need are there, and waits until all are well or will not
/// be. Containers that run already as they should are left alone, so it may be called again.
///
/// # Errors
/// When a service in a container would wait for another host for ever, an image cannot be built, a file cannot be written,
/// or the engine refuses. What was started runs on.
pub async fn deploy(engine: &Engine, spec: &DeploySpec, tell: impl Fn(Progress)) -> Result<Deployed, Error> {
    let units = plan::units(spec);
    refuse_crossings(spec, &units)?;
    images::build(engine, spec, &units, &tell).await?;
    let graph = Graph::of(&spec.fleet);
    let edges = unit_edges(&units, &graph);
    let phases = units.iter().map(|_| watch::Sender::new(Phase::Waiting)).collect();
    let scene = Scene { engine, spec, graph, units, edges, phases, tell };
    let all = scene.units.iter().zip(&scene.phases).enumerate();
    let bring_up = all.map(|(number, (unit, phase))| scene.bring_up(number, unit, phase));
    futures::future::try_join_all(bring_up).await?;
    let mut deployed = Deployed::default();
    for (unit, phase) in scene.units.iter().zip(&scene.phases) {
        match &*phase.borrow() {
            Phase::Failed(why) => deployed.failed.push((unit.name.clone(), why.clone())),
            Phase::Well | Phase::Started | Phase::Waiting => deployed.well.push(unit.name.clone()),
        }
    }
    Ok(deployed)
}

/// Supervisors in containers hear nothing of other hosts.
fn refuse_crossings(spec: &DeploySpec, units: &[Unit<'_>]) -> Result<(), Error> {
    let own = |id: &ServiceId| units.iter().any(|unit| unit.services.iter().any(|service| service.id == *id));
    let mut found = crossings(&spec.fleet).into_iter().filter(|crossing| own(&crossing.from));
    let Some(first) = found.next() else { return Ok(()) };
    let more = match found.count() {
        0 => String::new(),
        more => format!(" (and {more} more such needs)"),
    };
    Err(Error::Refused(format!("{first}{more}")))
}

impl<T: Fn(Progress)> Scene<'_, T> {
    /// One container from its first wait to its verdict.
    async fn bring_up(&self, number: usize, unit: &Unit<'_>, phase: &watch::Sender<Phase>) -> Result<(), Error> {
        let end = match self.needs_met(number, unit).await {
            Err(why) => Verdict::Failed(why),
            Ok(()) => {
                let (name, is_new) = self.start(unit).await?;
                phase.send_replace(Phase::Started);
                let state = self.spec.home.join(self.spec.start.of(unit).state);
                let running = Running { unit, name: &name, state: &state, is_new };
                let wait = health::wait(self.engine, &running, &self.tell);
                match self.spec.patience {
                    None => wait.await?,
                    Some(patience) => match tokio::time::timeout(patience, wait).await {
                        Ok(verdict) => verdict?,
                        Err(_) => Verdict::Failed(format!("not well within {patience:?}")),
                    },
                }
            }
        };
        let unit = unit.name.clone();
        match end {
            Verdict::Well => {
                phase.send_replace(Phase::Well);
                (self.tell)(Progress::Well { unit });
            }
            Verdict::Failed(why) => {
                phase.send_replace(Phase::Failed(why.clone()));
                (self.tell)(Progress::Failed { unit, why });
            }
        }
        Ok(())
    }

    /// Waits for the containers that this one needs; an error is a sentence.
    async fn needs_met(&self, number: usize, unit: &Unit<'_>) -> Result<(), String> {
        let edges = self.edges.get(number).map_or(&[][..], Vec::as_slice);
        if !edges.is_empty() {
            (self.tell)(Progress::Waiting { unit: unit.name.clone() });
        }
        for edge in edges {
            let (Some(needed), Some(phase)) = (self.units.get(edge.on), self.phases.get(edge.on)) else { continue };
            let enough = |phase: &Phase| match (phase, edge.condition) {
                (Phase::Failed(_) | Phase::Well, _) | (Phase::Started, UnitCondition::Started) => true,
                (Phase::Waiting | Phase::Started, _) => false,
            };
            let mut seen = phase.subscribe();
            // The sender lives as long as this.
            let reached = seen.wait_for(enough).await.map(|phase| phase.clone());
            let is_lost = matches!(reached, Ok(Phase::Failed(_)) | Err(_));
            if is_lost && edge.required && edge.condition != UnitCondition::Started {
                return Err(format!("it needs {}, which is not well", needed.name));
            }
        }
        Ok(())
    }

    /// Starts a container; its name, and whether it did not run yet.
    async fn start(&self, unit: &Unit<'_>) -> Result<(String, bool), Error> {
        if unit.content == Content::Supervised {
            let file = plan::description_file(self.spec, unit);
            if let Some(parent) = file.parent() {
                fs_err::create_dir_all(parent)?;
            }
            fs_err::write(file, masque_fleet::export::description(&self.spec.fleet, unit))?;
        }
        let image = self.engine.image_id(&unit.image).await?;
        let service = plan::service_spec(self.spec, unit, &self.graph, &image);
        let own = |labels: &std::collections::BTreeMap<String, String>| {
            labels.get(FLEET_LABEL) == Some(&self.spec.fleet.name)
        };
        let started = self.engine.start_service(&service, own).await?;
        let already = started == Started::Unchanged;
        (self.tell)(Progress::Started { unit: unit.name.clone(), already });
        Ok((service.name, !already))
    }
}

/// Ends the containers of a deployment, those that need others first, and removes them. Networks, volumes and images
/// stay.
///
/// # Errors
/// When the engine does not end one; the others run on then.
pub async fn undeploy(engine: &Engine, spec: &DeploySpec) -> Result<(), Error> {
    let units = plan::units(spec);
    let graph = Graph::of(&spec.fleet);
    let edges = unit_edges(&units, &graph);
    let mut left: Vec<usize> = (0..units.len()).collect();
    while !left.is_empty() {
        let needed = |number: &usize| {
            let needs =
                |other: &usize| edges.get(*other).is_some_and(|edges| edges.iter().any(|edge| edge.on == *number));
            left.iter().any(needs)
        };
        let (waiting, free): (Vec<usize>, Vec<usize>) = left.iter().partition(|number| needed(number));
        // The edges have no circles; were there one, all of it would end at once.
        let (ending, rest) = if free.is_empty() { (waiting, free) } else { (free, waiting) };
        let ends = ending.iter().filter_map(|number| units.get(*number)).map(|unit| end(engine, spec, unit, &graph));
        futures::future::try_join_all(ends).await?;
        left = rest;
    }
    Ok(())
}

async fn end(engine: &Engine, spec: &DeploySpec, unit: &Unit<'_>, graph: &Graph) -> Result<(), Error> {
    let name = plan::container_name(&spec.fleet, unit);
    let is_own =
        engine.service(&name).await?.is_some_and(|found| found.labels.get(FLEET_LABEL) == Some(&spec.fleet.name));
    if is_own {
        engine.stop_service(&name, unit.stop_grace(graph).max(Duration::from_secs(1))).await?;
    }
    Ok(())
}
