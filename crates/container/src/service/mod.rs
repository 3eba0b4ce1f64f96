//! Containers that run on after their maker: programs of a fleet, with what they need of the engine.
//!
//! Owns images built from a directory, networks, volumes, and the containers' starts and ends. Leaves out order and
//! health: whoever starts them knows better. These containers are what their owner wrote, and not a boundary against
//! what runs in them; that is [`crate::Container`].

mod build;
mod context;
mod request;
mod run;
mod spec;

pub use build::BuildSpec;
pub use run::{ServiceState, Started};
pub use spec::{Masque, Mount, MountSource, NetworkJoin, Port, Restart, ServiceSpec};
