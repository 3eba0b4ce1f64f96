//! `masque memory add`.

use std::{io::Read as _, path::PathBuf};

use masque_app::{
    Error,
    memory::{AddMemory, Material, Namespace, Noted, Origin, sync::SyncDirectory},
};

use super::{Place, Where};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Files and directories; `-` is standard input
    #[arg(required_unless_present = "note", value_name = "FILE|DIR|-")]
    paths: Vec<PathBuf>,
    /// A fact in a few sentences
    #[arg(long, value_name = "TEXT", conflicts_with = "paths")]
    note: Option<String>,
    /// Name of what comes from standard input; its ending says what it is
    #[arg(long, value_name = "NAME", default_value = "stdin.md")]
    name: String,
    #[command(flatten)]
    to: Where,
    /// May be taken at its word: you wrote or checked it
    #[arg(long, conflicts_with = "untrusted")]
    trusted: bool,
    /// Data from somewhere else, which is what documents are anyway; of use for notes
    #[arg(long)]
    untrusted: bool,
    /// Searchable word
    #[arg(long, value_name = "WORD")]
    tag: Vec<String>,
    /// Of directories only files that match
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(place: &Place, arguments: Arguments) -> Result<Exit, Error> {
    let namespace = arguments.to.resolve(place)?;
    if let Some(note) = &arguments.note {
        // What a person writes down here is that person's word.
        let origin = if arguments.untrusted { Origin::Untrusted } else { Origin::Trusted };
        return one(place, &arguments, Material::Note(note.clone()), &namespace, origin).await;
    }
    let origin = if arguments.trusted { Origin::Trusted } else { Origin::Untrusted };
    let mut exit = Exit::Success;
    for path in &arguments.paths {
        if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            std::io::stdin().lock().read_to_end(&mut bytes)?;
            let material = Material::Bytes(arguments.name.clone(), bytes);
            exit = worse(exit, one(place, &arguments, material, &namespace, origin).await?);
            continue;
        }
        let path = place.directory.join(path);
        if path.is_dir() {
            directory(place, &arguments, path, &namespace, origin).await?;
        } else {
            exit = worse(exit, one(place, &arguments, Material::File(path), &namespace, origin).await?);
        }
    }
    Ok(exit)
}

fn worse(one: Exit, other: Exit) -> Exit {
    if matches!(one, Exit::Success) { other } else { one }
}

async fn one(
    place: &Place,
    arguments: &Arguments,
    material: Material,
    namespace: &Namespace,
    origin: Origin,
) -> Result<Exit, Error> {
    let add = AddMemory {
        material,
        namespace: namespace.clone(),
        origin,
        tags: arguments.tag.clone(),
        project: place.project.clone(),
    };
    let added = place.app.add_memory(&place.caller, add).await?;
    let refused = matches!(added.noted, Some(Noted::Refused { .. }));
    if arguments.json {
        render::json(&added);
    } else {
        render::memory::added(&added);
    }
    Ok(if refused { Exit::Failed } else { Exit::Success })
}

async fn directory(
    place: &Place,
    arguments: &Arguments,
    directory: PathBuf,
    namespace: &Namespace,
    origin: Origin,
) -> Result<(), Error> {
    let asked = SyncDirectory {
        directory,
        namespace: namespace.clone(),
        include: arguments.include.clone(),
        exclude: Vec::new(),
        origin,
    };
    let index = place.app.memory_index().await?;
    let changes = place.app.sync_directory(&place.caller.actor, &place.project, index, &asked).await?;
    if arguments.json {
        render::json(&changes);
    } else {
        render::memory::changes(&changes);
    }
    let quiet = |_: &masque_app::memory::Progress| {};
    if let Err(error) = place.app.reindex_memory(&place.caller, &quiet).await {
        render::note(&format!("found by words only until `masque memory reindex`: {error}"));
    }
    Ok(())
}
