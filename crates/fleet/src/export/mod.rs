//! A fleet as files for other tools: Compose, Quadlet, Kubernetes, and the files that its images are built by.
//!
//! A group is one container with Masque as its first process, which starts the group's services in their order, sees
//! each one's health by its own probe, and heals it; the container's health is whether all of them are well. A service
//! with an image of its own is a container without Masque. Every export holds the definitions it was made from, so that
//! [`crate::import`] reads the same fleet again. Leaves out running any of these tools.

mod compose;
mod containerfile;
mod files;
mod frame;
mod health;
mod inside;
mod kube;
mod names;
mod quadlet;
mod relocation;
mod systemd;
mod units;
mod warnings;
mod yaml;

pub use compose::compose;
pub use containerfile::{base_image, dockerfiles};
pub use files::Files;
pub use health::words;
pub use inside::{HOME, MANIFEST, description, inside};
pub use kube::kube;
pub use names::has_image;
pub use quadlet::quadlet;
pub use units::{Content, Origin, Source, Unit, UnitCondition, UnitEdge, Volume, network, unit_edges, units, volume};
pub use warnings::{Crossing, Tool, Warning, crossings, warnings};

pub(crate) use compose::{FRAME_KEY, SERVICE_LABEL};
pub(crate) use frame::Frame;
pub(crate) use kube::{FRAME_ANNOTATION, SERVICES_ANNOTATION};
pub(crate) use quadlet::{FRAME, SECTION, SERVICE};
