//! `masque memory`: what is remembered, and the model that finds it by meaning. One file per command.

mod add;
mod curate;
mod forget;
mod list;
mod model;
mod search;
mod transfer;
mod watch;

use masque_app::{App, Error, memory::Namespace};
use masque_types::actor::{Caller, Reach};

use super::Context;
use crate::exit::Exit;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Remember files, directories, standard input or a note
    Add(add::Arguments),
    /// Search by words and meaning
    Search(search::Arguments),
    /// List what is remembered
    List(list::Arguments),
    /// Show a document with its parts
    Show(list::Show),
    /// Forget documents with everything that was made of them
    Forget(forget::Arguments),
    /// Have a model summarise what belongs together
    Curate(curate::Arguments),
    /// Give every part a vector of the configured model
    Reindex {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show how much is remembered
    Stats {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write documents as lines of JSON
    Export(transfer::Export),
    /// Read what `export` wrote
    Import(transfer::Import),
    /// Keep the documents of a directory equal to its files until interrupted
    Watch(watch::Arguments),
    /// Fetch and show the model that texts are embedded with
    #[command(subcommand)]
    Model(model::Command),
}

/// Which namespace a command means: the project's unless something else is said.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Where {
    /// Namespace: private:PERSONA, project:ID or room:NAME; the project's when absent
    #[arg(long, value_name = "NAMESPACE", conflicts_with_all = ["room", "private"])]
    namespace: Option<Namespace>,
    /// Namespace of a room
    #[arg(long, value_name = "NAME", conflicts_with = "private")]
    room: Option<String>,
    /// Namespace of a persona
    #[arg(long, value_name = "PERSONA")]
    private: Option<String>,
}

impl Where {
    fn resolve(&self, place: &Place) -> Result<Namespace, Error> {
        let named = match (&self.namespace, &self.room, &self.private) {
            (Some(namespace), ..) => return Ok(namespace.clone()),
            (None, Some(room), _) => format!("room:{room}"),
            (None, None, Some(persona)) => format!("private:{persona}"),
            (None, None, None) => return place.app.project_namespace(&place.project),
        };
        named.parse().map_err(|error: masque_types::memory::ParseNamespaceError| Error::usage(error.to_string()))
    }
}

pub(crate) async fn run(context: Context, command: Command) -> Result<Exit, Error> {
    if let Command::Model(command) = command {
        return model::run(context, command).await;
    }
    let caller = Caller { actor: context.actor(), reach: Reach::Local };
    let (project, directory) = (context.project.clone(), context.directory.clone());
    let place = Place { app: context.open().await?, caller, project, directory };
    let exit = place.run(command).await;
    place.app.close().await?;
    exit
}

/// Who works where.
pub(crate) struct Place {
    app: App,
    caller: Caller,
    project: std::path::PathBuf,
    directory: std::path::PathBuf,
}

impl Place {
    async fn run(&self, command: Command) -> Result<Exit, Error> {
        match command {
            Command::Add(arguments) => add::run(self, arguments).await,
            Command::Search(arguments) => search::run(self, arguments).await,
            Command::List(arguments) => list::run(self, arguments).await,
            Command::Show(arguments) => list::show(self, arguments).await,
            Command::Forget(arguments) => forget::run(self, arguments).await,
            Command::Curate(arguments) => curate::run(self, arguments).await,
            Command::Reindex { json } => self.reindex(json).await,
            Command::Stats { json } => self.stats(json).await,
            Command::Export(arguments) => transfer::export(self, arguments).await,
            Command::Import(arguments) => transfer::import(self, arguments).await,
            Command::Watch(arguments) => watch::run(self, arguments).await,
            Command::Model(_) => Ok(Exit::Success),
        }
    }

    async fn reindex(&self, json: bool) -> Result<Exit, Error> {
        let tell = |progress: &masque_app::memory::Progress| {
            crate::render::note(&format!("{}: {} done, {} to go", progress.model, progress.done, progress.missing));
        };
        let done = self.app.reindex_memory(&self.caller, &tell).await?;
        if json {
            crate::render::json(&done);
        } else {
            crate::render::memory::reindexed(&done);
        }
        Ok(Exit::Success)
    }

    async fn stats(&self, json: bool) -> Result<Exit, Error> {
        let stats = self.app.memory_statistics(None).await?;
        if json {
            crate::render::json(&stats);
        } else {
            crate::render::memory::stats(&stats);
        }
        Ok(Exit::Success)
    }
}
