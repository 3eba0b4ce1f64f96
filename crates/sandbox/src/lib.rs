//! The process sandbox: programs run with their own root, processes, network and limits, enforced by the Linux kernel.
//!
//! Owns: the launcher, the profile that says what a program may touch, the started child and the kill of its whole
//! tree, and the report of what this machine can enforce. Leaves out: personas, policies and tools; it knows paths,
//! sockets and limits only.
//!
//! How a start works: the calling process turns the profile into prepared data (paths as C strings, a mount list, a
//! BPF program, Landlock rules), clones once into new namespaces, and the cloned child, which shares nothing but a
//! copy of that data, executes it with raw system calls only. It becomes the init of its process namespace and starts
//! the program. Every failing step is reported back as a typed error; nothing is skipped silently.
//!
//! Beside that, [`service`] starts and ends long-running programs that are not confined.

mod assemble;
mod cgroup;
mod child;
mod detached;
mod device;
mod error;
mod expansion;
mod filter;
mod forget;
mod hidden;
mod inside;
mod keeper;
mod landlock;
mod launcher;
mod mailbox;
mod mechanism;
mod network;
mod plan;
mod pool;
mod profile;
mod program;
mod protect;
mod seccomp;
pub mod service;
mod start;
mod step;
mod sys;
mod system;
mod warm;

pub use child::{Child, Exit, Stderr, Stdin, Stdout, watch};
pub use detached::detach;
pub use error::Error;
pub use expansion::Expansion;
pub use hidden::is_hidden;
pub use launcher::{LandlockUse, Launcher};
pub use mechanism::{Mechanism, State};
pub use network::{DeviceSettings, NetworkSpace, place_network_device};
pub use pool::{Pool, PoolLimits, PoolUse};
pub use profile::{
    BUILT_IN_HIDDEN, BUILT_IN_READ_ONLY, Command, FILES_DIRECTORY, GIT_READ_ONLY, Isolation, Limits, Network, Profile,
};
pub use protect::is_placeholder_at;

use std::path::Path;

/// Where the executable given as [`Profile::masque`] stands inside every sandbox.
#[must_use]
pub fn masque_path_inside() -> &'static Path {
    Path::new("/run/masque/masque")
}
