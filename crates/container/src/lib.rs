//! Containers of Podman and Docker as a place for programs, through their API.
//!
//! Owns: finding the engine, the container with its mounts and limits, programs in it over three pipes each, the pool
//! that shares containers, the removal of what dead owners left; and, apart from these, containers that run on, with their
//! images, networks and volumes. Leaves out personas and policies; it knows images, paths and limits only. It never fetches
//! an image.
//!
//! How it works: the engine makes a container without capabilities, with a read-only root and without network, whose
//! first process is the `masque` executable, mounted read-only together with the loader and the libraries that it
//! needs, so that it runs in any image, an empty one included. That first process connects once to a socket that is
//! gone afterwards, tells what it finds enforced, lays a system call filter upon the engine's own, and from then on starts programs: each gets three pipes of this
//! machine, passed over the socket, and a supervisor of its own, which adopts everything that the program starts and
//! ends it with the program. No data goes through the engine, and a program starts without it. When the owner dies, the
//! socket closes, the first process ends, and the engine removes the container.

mod container;
mod engine;
mod error;
mod expectation;
mod handshake;
pub mod inside;
mod libraries;
mod owner;
mod places;
mod pool;
mod protocol;
mod request;
mod service;
mod session;
mod spec;

pub use container::Container;
pub use engine::{Engine, EngineInfo, EngineKind, Found, service_command};
pub use error::Error;
pub use libraries::{libraries_of_this_process, masque_words};
pub use pool::{Lease, Pool, Sharing};
pub use service::{
    BuildSpec, Masque, Mount, MountSource, NetworkJoin, Port, Restart, ServiceSpec, ServiceState, Started,
};
pub use session::{Exit, Session, Stderr, Stdin, Stdout};
pub use spec::{ContainerSpec, Exec, Guard, Network, User};

use std::path::Path;

/// Where the executable given as [`ContainerSpec::masque`] stands inside every container.
#[must_use]
pub fn masque_path_inside() -> &'static Path {
    Path::new(inside::MASQUE)
}

/// Where a cache volume is mounted inside.
#[must_use]
pub fn cache_path_inside() -> &'static Path {
    Path::new(inside::CACHE)
}
