//! Use cases over a fleet: read its manifest, check it, start its supervisor, speak with it, measure its start.
//!
//! Owns where things are: the manifest, the host that this machine is, the state directory. Leaves out the store but for
//! the audit: a supervisor does not hold it open. What services do is the supervisor's.

mod card;
mod chain;
mod control;
mod deploy;
mod error;
mod keys;
mod link;
mod manifest;
mod place;
mod reach;
mod supervise;
mod write;

use serde_json::Value;

pub use chain::{Chain, Step};
pub use control::{Progress, Standing};
pub use manifest::{Asked, Manifest};
pub use masque_fleet::{check::Report, export, graph, model, status};
pub use masque_supervisor::Error as ClientError;
pub use masque_supervisor::control::{Answer, Client, Explanation, LogLine, Request, Rolled, Target, Wait};
pub use masque_supervisor::deploy::{Build, Deployed, Progress as Deploying};
pub use masque_supervisor::runner::Begin;
pub use place::Place;
pub use supervise::{Began, handed_variables};
pub use write::Written;

/// The JSON schema of `fleet.toml`, for editors.
#[must_use]
pub fn schema() -> Value {
    masque_fleet::manifest::schema()
}
