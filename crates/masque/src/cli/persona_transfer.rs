//! `masque persona import` and `export`: personas from files of other programs, and to them.

use std::path::PathBuf;

use masque_app::{
    Error,
    personas::{self, ImportOrder, ImportStatus, Replace, Weaker},
};

use super::Context;
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct ImportArguments {
    /// Files and directories
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The directory that the personas go to, such as .agents/agents
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The dialect of all files; told from each file when absent
    #[arg(long)]
    dialect: Option<String>,
    /// Replace personas that are there
    #[arg(long)]
    force: bool,
    /// Print a line of JSON for each file
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExportArguments {
    /// Its name
    name: String,
    /// The dialect, such as claude, codex or gemini
    #[arg(long)]
    dialect: String,
    /// The file to write; standard output when absent
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Write it even if restrictions are lost
    #[arg(long)]
    allow_weaker: bool,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    /// Print JSON: the file and what is lost
    #[arg(long)]
    json: bool,
}

const fn replace(force: bool) -> Replace {
    if force { Replace::Allowed } else { Replace::Never }
}

pub(crate) async fn import(context: Context, arguments: ImportArguments) -> Result<Exit, Error> {
    let absolute = |path: &PathBuf| context.directory.join(path);
    let order = ImportOrder {
        paths: arguments.paths.iter().map(absolute).collect(),
        to: absolute(&arguments.to),
        dialect: arguments.dialect.as_deref().map(personas::dialect_named).transpose()?,
        replace: replace(arguments.force),
    };
    let actor = context.actor();
    let app = context.open().await?;
    let mut failed = false;
    let done = app
        .import_personas(&actor, &order, |file| {
            failed |= matches!(file.status, ImportStatus::Failed | ImportStatus::Exists);
            if arguments.json {
                render::json(file);
            } else {
                render::personas::imported(file);
            }
        })
        .await;
    app.close().await?;
    let counts: Vec<String> = done?.iter().map(|(status, count)| format!("{count} {status}")).collect();
    let summary = if counts.is_empty() { "there was no file".to_owned() } else { counts.join(", ") };
    render::note(&summary);
    Ok(if failed { Exit::Failed } else { Exit::Success })
}

pub(crate) async fn export(context: Context, arguments: ExportArguments) -> Result<Exit, Error> {
    let weaker = if arguments.allow_weaker { Weaker::Allowed } else { Weaker::Refused };
    let exported = personas::export(&context.host, &context.project, &arguments.name, &arguments.dialect, weaker)?;
    if let Some(out) = &arguments.out {
        let (actor, target) = (context.actor(), context.directory.join(out));
        let app = context.open().await?;
        let written = app.write_export(&actor, &exported, &target, replace(arguments.force)).await;
        app.close().await?;
        written?;
    }
    if arguments.json {
        render::json(&exported);
        return Ok(Exit::Success);
    }
    match &arguments.out {
        Some(out) => render::line(&out.display().to_string()),
        None => render::text(&exported.text),
    }
    render::personas::losses(&exported);
    Ok(Exit::Success)
}
