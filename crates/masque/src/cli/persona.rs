//! `masque persona`: what personas there are and whether their files are right. Writing, importing and exporting them
//! have files of their own.

use std::path::PathBuf;

use masque_app::{Error, home, personas};
use masque_types::diagnostic::Severity;
use serde_json::json;

use super::{Context, persona_author, persona_home, persona_transfer};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List personas
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a persona
    Show {
        /// Its name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check persona files: the given ones, or all that are found
    Validate {
        /// Files
        files: Vec<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a new persona, guided at a terminal
    New(persona_author::NewArguments),
    /// Edit a persona; what is wrong never replaces what is right
    Edit(persona_author::EditArguments),
    /// Import agent files of other programs; directories are walked
    Import(persona_transfer::ImportArguments),
    /// Write a persona as an agent file of another program
    Export(persona_transfer::ExportArguments),
    /// Print the JSON Schema of a persona's front matter
    Schema,
    #[command(flatten)]
    Home(persona_home::Command),
}

pub(crate) async fn run(context: Context, command: Command) -> Result<Exit, Error> {
    match command {
        Command::List { .. } | Command::Show { .. } | Command::Validate { .. } | Command::Schema => {
            look(&context, &command)
        }
        Command::New(arguments) => persona_author::new(context, arguments).await,
        Command::Edit(arguments) => persona_author::edit(context, arguments).await,
        Command::Import(arguments) => persona_transfer::import(context, arguments).await,
        Command::Export(arguments) => persona_transfer::export(context, arguments).await,
        Command::Home(command) => persona_home::run(context, command).await,
    }
}

/// The commands that change nothing.
fn look(context: &Context, command: &Command) -> Result<Exit, Error> {
    match command {
        Command::List { json } => {
            let catalog = personas::catalog(&context.host, &context.project);
            if *json {
                let personas = catalog.personas.iter().map(
                    |loaded| json!({ "persona": loaded.persona, "origin": loaded.origin, "shadowed": loaded.shadowed }),
                );
                render::json(&json!({
                    "personas": personas.collect::<Vec<_>>(),
                    "diagnostics": catalog.diagnostics,
                }));
            } else {
                render::personas::table(&catalog);
            }
            Ok(Exit::Success)
        }
        Command::Show { name, json } => {
            let catalog = personas::catalog(&context.host, &context.project);
            let loaded = personas::find(&catalog, name)?;
            if *json {
                render::json(&loaded.persona);
            } else {
                if let Some(picture) =
                    home::icon(&context.host, &loaded.persona)?.as_ref().and_then(render::homes::picture)
                {
                    render::text(&picture);
                }
                render::personas::whole(loaded);
            }
            for diagnostic in catalog.diagnostics_of(&loaded.persona.source) {
                render::warning(diagnostic);
            }
            Ok(Exit::Success)
        }
        Command::Validate { files, json } => Ok(validate(context, files, *json)),
        _ => {
            render::text(&render::pretty(&personas::schema()));
            Ok(Exit::Success)
        }
    }
}

fn validate(context: &Context, files: &[PathBuf], json: bool) -> Exit {
    let checked = personas::validate(&context.host, &context.project, files);
    let wrong = |findings: &[masque_types::diagnostic::Diagnostic]| {
        findings.iter().any(|finding| finding.severity == Severity::Error)
    };
    if json {
        let files = checked.iter().map(|(file, findings)| json!({ "file": file, "diagnostics": findings }));
        render::json(&files.collect::<Vec<_>>());
    } else {
        for (file, findings) in &checked {
            render::personas::verdict(file, findings);
        }
        if checked.is_empty() {
            render::note("no persona files were found; the bundled ones are always there");
        }
    }
    if checked.iter().any(|(_, findings)| wrong(findings)) { Exit::Failed } else { Exit::Success }
}
