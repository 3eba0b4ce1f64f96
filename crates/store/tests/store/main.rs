//! The store's behaviour on both databases, and what only a file can do.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by a panic")]

mod audit;
mod crash;
mod disk;
mod faults;
mod jobs;
mod journal;
mod lease;
mod listing;
mod memory;
mod memory_crash;
mod opening;
mod proposals;
mod retention;
mod waiting;
