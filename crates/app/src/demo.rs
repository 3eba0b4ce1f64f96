//! The demonstration: the bundled architect reviews the directory it stands in, with a scripted model and real tools.

use masque_types::persona::Persona;

use crate::{Error, host::Host};

/// The name of the script: `scripted/demo`.
pub const SCRIPT_NAME: &str = "demo";

/// What the scripted model does. Its report is made from what the tools find.
pub const SCRIPT: &str = include_str!("demo.yaml");

/// The task given.
pub const TASK: &str = "Review this repository: what is it made of, and what is left to do in it? Write a report.";

/// The file that the report is written to, in the workspace.
pub const REPORT: &str = "masque-review.md";

/// The bundled architect, whatever the project or user put in its place.
///
/// # Errors
/// When it is not part of this build.
pub fn persona(host: &Host) -> Result<Persona, Error> {
    let catalog = crate::personas::catalog(&Host { config: host.home.join("none"), ..host.clone() }, &host.home);
    Ok(crate::personas::find(&catalog, "architect")?.persona.clone())
}
