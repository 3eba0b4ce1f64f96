//! `masque completions`: completions for the user's shell.

use clap::CommandFactory as _;

use crate::exit::Exit;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Shell to complete for
    shell: clap_complete::Shell,
}

pub(crate) fn run(arguments: &Arguments) -> Exit {
    let mut command = super::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "masque", &mut std::io::stdout());
    Exit::Success
}
