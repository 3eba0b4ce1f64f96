//! The part of Masque that runs inside a container: [`run`].
//!
//! Process 1 is the container's first process, which starts one supervisor for each program; any other process is such
//! a supervisor. Both cannot be inspected by the programs, and end with this machine's side of their socket. Leaves out
//! this machine's side.

mod filter;
mod init;
mod processes;
mod supervisor;

use crate::Error;

/// The directory of what Masque mounts.
pub(crate) const MASQUE: &str = "/run/masque/masque";
/// The directory of the loader and the libraries.
pub(crate) const LIBRARIES: &str = "/run/masque/lib";
/// The socket that the first process connects to.
pub(crate) const CONTROL: &str = "/run/masque/control";
/// Where a cache volume is.
pub(crate) const CACHE: &str = "/run/masque/cache";

/// What `masque` does when it is started with [`crate::ContainerSpec::init`]. Blocks until the container's owner or
/// the program's user is gone. Must be called in a process without other threads and children.
///
/// # Errors
/// When it was not started in a container by this crate.
pub fn run() -> Result<(), Error> {
    if rustix::process::getpid().is_init() { init::run() } else { supervisor::run() }
}

/// Takes this process's memory, environment and descriptors out of the reach of programs with the same user.
fn become_private() -> Result<(), Error> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(|errno| Error::system("hide the memory of a process of Masque")(errno.into()))
}
