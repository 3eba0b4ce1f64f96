//! `masque memory curate`.

use masque_app::{
    Error,
    memory::{CurateMemory, CurateResult, Namespace},
};
use tokio_util::sync::CancellationToken;

use super::Place;
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only say what would be summarised
    #[arg(long)]
    dry_run: bool,
    /// Only in this namespace: private:PERSONA, project:ID or room:NAME; in all when absent
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Vec<Namespace>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(place: &Place, arguments: Arguments) -> Result<Exit, Error> {
    let asked = CurateMemory { namespaces: arguments.namespace, dry_run: arguments.dry_run, ..CurateMemory::default() };
    let stop = CancellationToken::new();
    let curating = place.app.curate_memory(&place.caller, &asked, &stop);
    let mut curating = Box::pin(curating);
    let curated = tokio::select! {
        curated = &mut curating => curated?,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            stop.cancel();
            // The run in hand is cancelled, and what was summarised before is told.
            curating.await?
        }
    };
    if arguments.json {
        render::json(&curated);
    } else {
        render::memory::curated(&curated);
    }
    if stop.is_cancelled() {
        return Ok(Exit::Cancelled);
    }
    let refused = curated.groups.iter().any(|group| matches!(group.result, CurateResult::Refused { .. }));
    Ok(if refused { Exit::Failed } else { Exit::Success })
}
