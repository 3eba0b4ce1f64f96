//! The command `masque`.
//!
//! Owns the surfaces: for now the command line. Leaves out what commands do: that is in the application's use cases.

mod chat;
mod cli;
mod exit;
mod render;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run().into()
}
