//! `masque fleet key`: the key by which supervisors of other hosts know this machine's.

use masque_app::Error;

use super::Context;
use crate::{exit::Exit, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Print the public key of this machine, for `hosts.NAME.key`
    Show,
    /// Make the key of this machine, and print the public half
    New {
        /// Replace the one that there is; manifests have to name the new one then
        #[arg(long)]
        replace: bool,
    },
}

pub(crate) async fn run(context: Context, command: Command) -> Result<Exit, Error> {
    let actor = context.actor();
    let app = context.open().await?;
    let key = match command {
        Command::Show => app.host_key(),
        Command::New { replace } => app.make_host_key(&actor, replace).await,
    };
    app.close().await?;
    key.map(|key| {
        render::line(&key);
        Exit::Success
    })
}
