//! The command `masque`.
//!
//! Owns the surfaces: the command line and the MCP server. Leaves out what commands do: that is in the application's use cases.

mod chat;
mod cli;
mod exit;
mod fleet_screen;
mod mcp;
mod render;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run().into()
}
