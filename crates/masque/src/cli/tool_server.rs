//! `masque tool-server`: the built-in tools as an MCP server on standard input and output, inside the sandbox.

use masque_app::Error;

use crate::exit::Exit;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to serve, as JSON
    config: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(masque_app::tools::serve(&arguments.config))?;
    Ok(Exit::Success)
}
