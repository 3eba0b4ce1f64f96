//! `masque memory watch`.

use std::path::PathBuf;

use masque_app::{
    Error,
    memory::{
        Origin,
        sync::{Report, SyncDirectory},
    },
};

use super::{Place, Where};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Directory
    directory: PathBuf,
    #[command(flatten)]
    to: Where,
    /// Only files that match
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Not files that match
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// May be taken at its word
    #[arg(long)]
    trusted: bool,
}

pub(crate) async fn run(place: &Place, arguments: Arguments) -> Result<Exit, Error> {
    let asked = SyncDirectory {
        directory: place.directory.join(&arguments.directory),
        namespace: arguments.to.resolve(place)?,
        include: arguments.include,
        exclude: arguments.exclude,
        origin: if arguments.trusted { Origin::Trusted } else { Origin::Untrusted },
    };
    let index = place.app.memory_index().await?;
    let told = |report: Report| render::memory::report(&report);
    let watching = place.app.watch_directory(&place.caller.actor, &place.project, index, &asked, told).await?;
    render::note("watching; Ctrl-C ends it");
    tokio::signal::ctrl_c().await?;
    watching.close().await;
    Ok(Exit::Success)
}
