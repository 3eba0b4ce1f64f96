//! `masque completions`: completions for the user's shell.

use clap::CommandFactory as _;

use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Shell to complete for
    shell: clap_complete::Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let mut command = super::Arguments::command();
    // Into memory first: the generator takes a closed pipe for a fault.
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "masque", &mut script);
    render::text(&String::from_utf8_lossy(&script));
    Exit::Success
}
