//! From a service of the fleet to a program: its exact environment, its limits, its start, and taking it over.
//!
//! Leaves out when it is started, and how a start works, which the sandbox knows.

mod environment;
mod instance;
mod missing;
mod surroundings;

pub use instance::{INSTANCE_VARIABLE, Instance};
pub use missing::missing;
pub use surroundings::{Additions, Surroundings};

use masque_sandbox::service::{Adoption, ServiceGroups, ServiceProcess};

use crate::Error;

/// Takes over the program of an instance that an earlier supervisor started. Must be called within a runtime.
///
/// # Errors
/// [`masque_sandbox::Error::Gone`] when it is not there any more; with any other one it may be.
pub fn adopt(
    instance: &Instance,
    process: u32,
    start_time: u64,
    groups: &ServiceGroups,
) -> Result<ServiceProcess, Error> {
    let group = groups.open(instance.cookie()).map(std::sync::Arc::new);
    Ok(ServiceProcess::adopt(Adoption { process, start_time, mark: Some(instance.mark()), group })?)
}
