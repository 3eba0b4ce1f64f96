//! What a fleet means before anything runs: its graph, the check, its forms for other tools.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "all of it is test code, and skipped tests say why")]
#![expect(clippy::indexing_slicing, clippy::panic, reason = "a test fails by a panic")]
#![expect(clippy::disallowed_methods, reason = "tests start programs and read the environment")]

mod ai_system;
mod check;
mod export;
mod graph;
mod units;
