//! The program as people use it: every command in a home of its own, compared with what it should print.
//!
//! Snapshots hold whole sessions. Leaves out what lower crates test themselves: the engine's schedules, the sandbox's
//! walls, the dialects of providers.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail by a panic"
)]

mod approvals;
mod audit;
mod config;
mod crashes;
mod demo;
mod docs;
mod doctor;
mod explain;
mod extract;
mod fleet;
mod handoff;
mod interrupts;
mod key;
mod mcp_install;
mod model;
mod output;
mod persona;
mod persona_files;
mod persona_home;
mod reference;
mod run;
mod runs;
mod secret;
mod standard;
mod stores;
mod support;
mod token;
mod tool;
mod trust;
mod worker;
