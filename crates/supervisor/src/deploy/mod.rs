//! Starts the groups of a host as containers, each with a supervisor inside, and waits until they are well.
//!
//! Owns the way from a fleet to containers of an engine: images, order, health, ends. The supervisors inside share a
//! directory of this machine, over which they see each other and answer this side, too. Leaves out which executable runs
//! inside and how it is called, which the caller says.

mod health;
mod images;
mod plan;
mod run;
mod spec;

pub use run::{Deployed, deploy, undeploy};
pub use spec::{Build, DeploySpec, Inside, Progress, Start};
