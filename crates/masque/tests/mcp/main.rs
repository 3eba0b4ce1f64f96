//! The MCP server, as its clients meet it: raw messages of both eras of the protocol, HTTP, and the official Python SDK.
//! Leaves out what a use case does: those are the tests of the application.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests fail by a panic"
)]

mod conformance;
mod decisions;
mod http;
mod inspector;
mod lists;
mod python;
mod stdio;
mod support;
mod tasks;
mod workers;
