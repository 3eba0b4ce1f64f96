//! The index in a store: sources in, answers out, with a model that counts words in place of a real one.

mod adding;
mod exporting;
mod isolation;
mod models;
mod noting;
mod searching;
mod support;
