//! Runs a fleet on one host: starts each service when what it needs is there, watches it, heals it, ends it in order.
//!
//! Leaves out the files that describe a fleet, and every surface.

mod adoption;
pub mod control;
pub mod deploy;
pub mod directory;
mod error;
pub mod keeper;
pub mod link;
pub mod logs;
pub mod machine;
pub mod metrics;
pub mod probe;
pub mod process;
mod record;
pub mod runner;

pub use adoption::services_left;
pub use error::Error;
