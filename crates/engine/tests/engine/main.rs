//! The engine's behaviour over real stores, and its pure parts from outside.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by a panic")]

mod agent_loop;
mod children;
mod clocks;
mod conversation;
mod crash;
mod discovery;
mod failures;
mod frozen;
mod golden;
mod machine;
mod many;
mod schedules;
mod support;
mod workers;
