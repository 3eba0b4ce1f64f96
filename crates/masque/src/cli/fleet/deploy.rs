//! `masque fleet deploy`: the groups of a host as containers.

use std::time::Duration;

use masque_app::{
    Error,
    fleet::{Build, Deploying},
};
use serde_json::json;

use super::{Context, Which, place, said};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// When images are built
    #[arg(long, value_enum, default_value_t)]
    build: When,
    /// How long a container may take to become well
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// End the containers instead, and remove them
    #[arg(long)]
    remove: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum When {
    /// When the engine does not have them
    #[default]
    Missing,
    /// Every time
    Always,
    /// Never
    Never,
}

pub(crate) async fn run(context: Context, arguments: Arguments) -> Result<Exit, Error> {
    let place = place(&context, arguments.which.asked())?;
    let actor = context.actor();
    let app = context.open().await?;
    if arguments.remove {
        let done = app.undeploy_fleet(&actor, &place).await;
        app.close().await?;
        done?;
        said(
            arguments.json,
            "removed",
            &format!("the containers of {} on {} are removed", place.fleet.name, place.host),
        );
        return Ok(Exit::Success);
    }
    let build = match arguments.build {
        When::Missing => Build::Missing,
        When::Always => Build::Always,
        When::Never => Build::Never,
    };
    let json = arguments.json;
    let patience = arguments.timeout.map(Duration::from_secs);
    let deployed = app.deploy_fleet(&actor, &place, build, patience, |step| tell(&step, json)).await;
    app.close().await?;
    let deployed = deployed?;
    if json {
        render::json(&json!({ "well": deployed.well, "failed": deployed.failed }));
    }
    Ok(if deployed.failed.is_empty() { Exit::Success } else { Exit::Failed })
}

fn tell(step: &Deploying, json: bool) {
    if json {
        return;
    }
    match step {
        Deploying::Building { image, line } => render::note(&format!("{image}: {}", line.trim_end())),
        Deploying::Waiting { unit } => render::note(&format!("{unit} waits for others")),
        Deploying::Started { unit, already: true } => render::note(&format!("{unit} runs already")),
        Deploying::Started { unit, already: false } => render::note(&format!("{unit} was started")),
        Deploying::Service { unit, id, state } => render::note(&format!("{unit}: {id} {}", state.word())),
        Deploying::Well { unit } => render::line(&format!("{unit} is well")),
        Deploying::Failed { unit, why } => render::line(&format!("{unit} failed: {why}")),
    }
}
