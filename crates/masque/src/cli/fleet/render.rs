//! `masque fleet render`: the fleet as files for other tools.

use std::path::PathBuf;

use masque_app::{
    Error,
    fleet::export::{self, Files, Tool},
};
use serde_json::json;

use super::{Context, Whole, read};
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
    which: Whole,
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
    let (files, tool): (Files, _) = match arguments.to {
        Form::Compose => (export::compose(fleet), Some(Tool::Compose)),
        Form::Quadlet => (export::quadlet(fleet), Some(Tool::Quadlet)),
        Form::Kube => (export::kube(fleet), Some(Tool::Kube)),
        Form::Dockerfiles => (export::dockerfiles(fleet), None),
    };
    let warnings = tool.map(|tool| export::warnings(fleet, tool)).unwrap_or_default();
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    let directory = context.directory.join(&arguments.output);
    let written = manifest.write(files, &directory)?;
    for (file, names) in &written.private {
        let names = names.join(", ");
        render::note(&format!("{} holds the value of {names}; only you can read it", file.display()));
    }
    if arguments.json {
        let private: Vec<_> =
            written.private.iter().map(|(file, names)| json!({ "file": file, "holds": names })).collect();
        render::json(&json!({ "files": written.files, "private": private, "warnings": warnings }));
    } else {
        warnings.iter().for_each(|warning| render::note(warning));
        written.files.iter().for_each(|file| render::line(&file.display().to_string()));
    }
    Ok(Exit::Success)
}
