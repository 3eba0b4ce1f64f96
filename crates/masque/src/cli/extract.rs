//! `masque extract`: the text of a document, and the process that parses the documents of strangers.

use std::{io::Write as _, path::PathBuf};

use masque_app::{Error, extraction};

use crate::{
    cli::{Context, Global, block_on},
    exit::Exit,
    render,
};

#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// The document
    file: Option<PathBuf>,
    /// All that is known of it, as JSON
    #[arg(long)]
    json: bool,
    /// Parse the document on standard input in this process; what is to be done, as JSON
    #[arg(long, value_name = "JOB", conflicts_with = "file")]
    inside: Option<String>,
}

pub(crate) fn run(global: Global, arguments: Arguments) -> Result<Exit, Error> {
    if let Some(job) = &arguments.inside {
        let answer = extraction::inside(job, std::io::stdin().lock())?;
        std::io::stdout().write_all(answer.as_bytes())?;
        return Ok(Exit::Success);
    }
    let Some(file) = arguments.file else { return Ok(Exit::Usage) };
    block_on(async move {
        let context = Context::read(global, &[])?;
        let file = context.directory.join(file);
        let app = context.open().await?;
        let extracted = app.extract_file(&file).await;
        app.close().await?;
        let extracted = extracted?;
        if arguments.json {
            render::json(&extracted);
        } else {
            render::text(&extracted.text);
        }
        Ok(Exit::Success)
    })
}
