//! `masque fleet render`: the fleet as files for other tools.

use std::path::PathBuf;

use masque_app::{
    Error,
    fleet::export::{self, Files},
};
use serde_json::json;

use super::{Context, Which, read};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// For which tool
    #[arg(long, value_enum)]
    to: Form,
    /// Directory for the files; it is made when it is missing
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Form {
    /// Compose, for podman-compose and docker compose
    Compose,
    /// Units for systemd, by Podman's generator
    Quadlet,
    /// Kubernetes
    Kube,
    /// What the images are built by
    Dockerfiles,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Error> {
    let manifest = read(context, arguments.which.asked())?;
    let fleet = manifest.fleet()?;
    let files: Files = match arguments.to {
        Form::Compose => export::compose(fleet),
        Form::Quadlet => export::quadlet(fleet),
        Form::Kube => export::kube(fleet),
        Form::Dockerfiles => export::dockerfiles(fleet),
    };
    let directory = context.directory.join(&arguments.output);
    files.write(&directory)?;
    let written = files.0.keys().map(|path| directory.join(path).display().to_string());
    if arguments.json {
        render::json(&json!({ "files": written.collect::<Vec<_>>() }));
    } else {
        written.for_each(|file| render::line(&file));
    }
    Ok(Exit::Success)
}
