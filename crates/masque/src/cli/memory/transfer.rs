//! `masque memory export` and `masque memory import`.

use std::{
    io::{BufReader, BufWriter, Write},
    path::PathBuf,
};

use masque_app::{
    Error,
    memory::{self, MemoryFilter, Origin},
};

use super::{Place, Where};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// File to write; standard output when absent
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    at: Where,
    /// All namespaces
    #[arg(long, conflicts_with_all = ["namespace", "room", "private"])]
    all: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// File that `export` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Put everything into this namespace; each document to its own when absent
    #[arg(long, value_name = "NAMESPACE")]
    into: Option<memory::Namespace>,
    /// Let documents stay trusted that were so where they come from
    #[arg(long)]
    trusted: bool,
}

pub(crate) async fn export(place: &Place, arguments: Export) -> Result<Exit, Error> {
    let namespaces = match arguments.all {
        true => place.app.memory_namespaces().await?,
        false => vec![arguments.at.resolve(place)?],
    };
    let mut out: Box<dyn Write + Send> = match &arguments.file {
        Some(file) => Box::new(BufWriter::new(fs_err::File::create(place.directory.join(file))?)),
        None => Box::new(std::io::stdout()),
    };
    let documents = place.app.export_memory(&place.caller, &MemoryFilter::of(namespaces), &mut *out).await?;
    render::note(&format!("exported {}", render::style::counted(documents, "document", "documents")));
    Ok(Exit::Success)
}

pub(crate) async fn import(place: &Place, arguments: Import) -> Result<Exit, Error> {
    let mut input = BufReader::new(fs_err::File::open(place.directory.join(&arguments.file))?);
    let trust = if arguments.trusted { Origin::Trusted } else { Origin::Untrusted };
    let import = memory::Import { into: arguments.into, trust };
    let documents = place.app.import_memory(&place.caller, &mut input, &import).await?;
    render::note(&format!("imported {}", render::style::counted(documents, "document", "documents")));
    Ok(Exit::Success)
}
