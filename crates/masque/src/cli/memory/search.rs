//! `masque memory search`.

use std::time::Duration;

use masque_app::{
    Error,
    memory::{DocumentKind, Mode, SearchMemory},
};
use masque_types::time::Timestamp;

use super::{Place, Where};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Words or a question
    #[arg(required = true)]
    query: Vec<String>,
    #[command(flatten)]
    at: Where,
    /// In all namespaces
    #[arg(long, conflicts_with_all = ["namespace", "room", "private"])]
    all: bool,
    /// Results, at most
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    limit: u8,
    /// Only documents of this kind
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<DocumentKind>,
    /// Only what changed within this time: 2d, 3w
    #[arg(long, value_name = "DURATION", value_parser = masque_app::config::duration)]
    since: Option<Duration>,
    /// Only what has this tag
    #[arg(long, value_name = "WORD")]
    tag: Vec<String>,
    /// Compare words only
    #[arg(long, conflicts_with = "vector_only")]
    text_only: bool,
    /// Compare meanings only
    #[arg(long)]
    vector_only: bool,
    /// Say how each score came about
    #[arg(long)]
    explain: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// A kind by its name.
pub(super) fn kind(name: &str) -> Result<DocumentKind, String> {
    DocumentKind::from_name(name).ok_or_else(|| "expected document, standard, note or summary".to_owned())
}

/// The time so long ago.
pub(super) fn ago(now: Timestamp, age: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)))
}

pub(crate) async fn run(place: &Place, arguments: Arguments) -> Result<Exit, Error> {
    let namespaces = match arguments.all {
        true => place.app.memory_namespaces().await?,
        false => vec![arguments.at.resolve(place)?],
    };
    if namespaces.is_empty() {
        render::note("nothing is remembered yet: masque memory add FILE");
        return Ok(Exit::Failed);
    }
    let mode = match (arguments.text_only, arguments.vector_only) {
        (true, _) => Mode::Text,
        (_, true) => Mode::Vector,
        _ => Mode::Fused,
    };
    let now = place.app.now();
    let asked = SearchMemory {
        kinds: arguments.kind,
        limit: arguments.limit.into(),
        mode,
        since: arguments.since.map(|age| ago(now, age)),
        tags: arguments.tag,
        ..SearchMemory::new(arguments.query.join(" "), namespaces)
    };
    let found = place.app.search_memory(&place.caller, &asked).await?;
    if arguments.json {
        render::json(&found);
    } else {
        render::memory::found(&found, arguments.explain);
    }
    Ok(if found.hits.is_empty() { Exit::Failed } else { Exit::Success })
}
