//! Whether a fleet can run, asked before anything is started: [`check`].
//!
//! Pure against a [`World`], which tells what there is on a machine. Leaves out what the files of the fleet say wrongly
//! (the manifest tells that with its lines), and mending anything.

mod dependencies;
mod files;
mod health;
mod machine;
mod network;
mod report;
mod world;

use std::collections::BTreeSet;

pub use report::{Finding, Report, Rule, StandIn, Substitution};
pub use world::{Entry, Listener, World};

use crate::{
    graph::{Graph, Roster},
    model::{Fleet, Service, ServiceId},
};

/// Everything that one check looks at.
struct Scene<'a> {
    fleet: &'a Fleet,
    world: &'a World,
    /// Services that cannot be started on this machine, with the reason.
    missing: Vec<(&'a ServiceId, String)>,
    roster: Roster<'a>,
    graph: Graph,
}

impl<'a> Scene<'a> {
    fn of(fleet: &'a Fleet, world: &'a World) -> Self {
        let missing = files::missing(fleet, world);
        let ids: BTreeSet<_> = missing.iter().map(|(id, _)| (*id).clone()).collect();
        let (roster, graph) = (Roster::of(fleet, &ids), Graph::without(fleet, &ids));
        Self { fleet, world, missing, roster, graph }
    }

    /// The services that are to run on this machine; all of them when nobody knows which host it is.
    fn services_here(&self) -> impl Iterator<Item = &'a Service> {
        let world = self.world;
        self.fleet.services.iter().filter(move |service| world.is_here(service))
    }
}

/// Looks for everything that would keep the fleet from running well.
#[must_use]
pub fn check(fleet: &Fleet, world: &World) -> Report {
    let scene = Scene::of(fleet, world);
    let mut report = Report::default();
    dependencies::check(&scene, &mut report);
    files::check(&scene, &mut report);
    network::check(&scene, &mut report);
    health::check(&scene, &mut report);
    machine::check(&scene, &mut report);
    report.sort();
    report
}
