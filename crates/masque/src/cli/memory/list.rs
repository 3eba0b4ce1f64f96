//! `masque memory list` and `masque memory show`.

use masque_app::{
    Error,
    memory::{DocumentKind, ListMemories, MemoryFilter},
};

use super::{Place, Where, search::kind};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    at: Where,
    /// Of all namespaces
    #[arg(long, conflicts_with_all = ["namespace", "room", "private"])]
    all: bool,
    /// Only documents of this kind
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<DocumentKind>,
    /// Only sources that begin so
    #[arg(long, value_name = "PREFIX")]
    source: Option<String>,
    /// Documents, at most
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// Document: its id or the beginning of it
    document: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(place: &Place, arguments: Arguments) -> Result<Exit, Error> {
    let namespaces = match arguments.all {
        true => place.app.memory_namespaces().await?,
        false => vec![arguments.at.resolve(place)?],
    };
    let filter =
        MemoryFilter { kinds: arguments.kind, source_prefix: arguments.source, ..MemoryFilter::of(namespaces) };
    let asked = ListMemories { filter, limit: arguments.limit };
    let documents = place.app.memories(&place.caller, &asked).await?;
    if arguments.json {
        render::json(&documents);
    } else {
        render::memory::table(&documents, place.app.now());
    }
    Ok(Exit::Success)
}

pub(crate) async fn show(place: &Place, arguments: Show) -> Result<Exit, Error> {
    let view = place.app.memory(&place.caller, &arguments.document).await?;
    if arguments.json {
        render::json(&view);
    } else {
        render::memory::whole(&view);
    }
    Ok(Exit::Success)
}
