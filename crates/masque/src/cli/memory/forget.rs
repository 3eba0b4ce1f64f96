//! `masque memory forget`.

use std::time::Duration;

use masque_app::{
    Error,
    memory::{ForgetFilter, Origin},
};
use masque_types::id::RunId;

use super::{Place, Where, search::ago};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true)
    .args(["ids", "source", "source_prefix", "origin", "run", "older", "everything"])))]
pub(crate) struct Arguments {
    /// Documents: ids or the beginnings of them, in whatever namespace
    #[arg(value_name = "DOCUMENT")]
    ids: Vec<String>,
    #[command(flatten)]
    at: Where,
    /// What came from exactly this source
    #[arg(long, value_name = "SOURCE")]
    source: Vec<String>,
    /// What came from sources that begin so
    #[arg(long, value_name = "PREFIX")]
    source_prefix: Option<String>,
    /// What has this origin: trusted or untrusted
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    origin: Option<Origin>,
    /// What this run noted
    #[arg(long, value_name = "RUN")]
    run: Option<RunId>,
    /// What has not changed for so long: 90d
    #[arg(long, value_name = "DURATION", value_parser = masque_app::config::duration)]
    older: Option<Duration>,
    /// Everything in the namespace
    #[arg(long)]
    everything: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn origin(name: &str) -> Result<Origin, String> {
    Origin::from_name(name).ok_or_else(|| "expected trusted or untrusted".to_owned())
}

pub(crate) async fn run(place: &Place, arguments: Arguments) -> Result<Exit, Error> {
    let ids = place.app.memory_ids(&arguments.ids).await?;
    let anywhere = !ids.is_empty() && arguments.at.namespace.is_none();
    let anywhere = anywhere && arguments.at.room.is_none() && arguments.at.private.is_none();
    let namespaces = match anywhere {
        true => place.app.memory_namespaces().await?,
        false => vec![arguments.at.resolve(place)?],
    };
    let filter = ForgetFilter {
        namespaces,
        ids,
        sources: arguments.source,
        source_prefix: arguments.source_prefix,
        origin: arguments.origin,
        kinds: Vec::new(),
        run: arguments.run,
        before: arguments.older.map(|age| ago(place.app.now(), age)),
        everything: arguments.everything,
    };
    let forgotten = place.app.forget_memory(&place.caller, filter).await?;
    if arguments.json {
        render::json(&forgotten);
    } else {
        render::memory::forgotten(&forgotten);
    }
    Ok(if forgotten.documents.is_empty() { Exit::Failed } else { Exit::Success })
}
