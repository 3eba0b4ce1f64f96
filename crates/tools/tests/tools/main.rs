//! The tools through their real protocol, the guard of the page fetcher, and whole environments.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::panic,
    reason = "tests fail by a panic"
)]

mod border;
mod builtin;
mod containers;
mod discovery;
mod environment;
mod fetch;
mod hooks;
mod lazy;
mod support;
mod together;
