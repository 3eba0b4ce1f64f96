//! The index in a store: sources in, answers out, with a model that counts words in place of a real one.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by a panic")]

mod adding;
mod exporting;
mod isolation;
mod models;
mod noting;
mod searching;
mod support;
