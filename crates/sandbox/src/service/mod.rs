//! Long-running programs that are not confined: how a supervisor starts, finds again, awaits and ends them.
//!
//! Owns: the start in a session of its own with an exact environment and exact descriptors, the account and the limits,
//! the wait, the kill of everything that a program started, the search for what an earlier supervisor started, and the
//! burial of orphans. Leaves out why and when: it knows no services, only programs.
//!
//! How a start works: everything is prepared first, then a clone shares the caller's memory and suspends its thread
//! until the program is executed, as `vfork` does, so that the size of the caller does not count. With another account
//! it gets a copy of the memory instead, because processes of two users must not share one.

mod account;
mod capture;
mod clone;
mod command;
mod end;
mod group;
mod inside;
mod mark;
mod open_files;
mod prepare;
mod process;
mod reaper;
pub mod signals;
mod table;

pub use account::Account;
pub use capture::Captured;
pub use command::{Output, ServiceCommand};
pub use end::ServiceEnd;
pub use group::{GroupLimits, ServiceGroup, ServiceGroups, Unenforced};
pub use mark::{Mark, Marked, find_marked};
pub use open_files::raise_open_files;
pub use process::{Adoption, ServiceProcess};
pub use reaper::Reaper;
pub use table::{ProcessTable, Running};
