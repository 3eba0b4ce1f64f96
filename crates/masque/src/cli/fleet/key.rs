//! `masque fleet key`: the key by which supervisors of other hosts know this machine's.

use masque_app::Error;
use serde_json::json;

use super::Context;
use crate::{exit::Exit, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Print the public key of this machine, for `hosts.NAME.key`
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the key of this machine, and print the public half
    New {
        /// Replace the one that there is; manifests have to name the new one then
        #[arg(long)]
        replace: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(context: Context, command: Command) -> Result<Exit, Error> {
    let actor = context.actor();
    let app = context.open().await?;
    let (key, json) = match command {
        Command::Show { json } => (app.host_key(), json),
        Command::New { replace, json } => (app.make_host_key(&actor, replace).await, json),
    };
    app.close().await?;
    let key = key?;
    if json {
        render::json(&json!({ "key": key }));
    } else {
        render::line(&key);
    }
    Ok(Exit::Success)
}
