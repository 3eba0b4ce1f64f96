//! `masque demo`: the whole of a run, without a model: the bundled architect reviews this directory.

use masque_app::{App, Error, config::Argument, demo, runs::StartRun};
use masque_types::{cost::Limits, message::Part, run::RunStatus};

use super::{
    Context,
    drive::{Answers, DriveArguments, Output, drive},
};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Approve the one call that is asked; without it the demo asks you
    #[arg(long)]
    approve: bool,
}

impl Arguments {
    /// The scripted model, as configuration of the highest layer.
    #[expect(clippy::unused_self, reason = "every command's arguments say what they set")]
    pub(crate) fn settings(&self) -> Vec<Argument> {
        let text = format!("{}/{}", masque_app::models::SCRIPTED, demo::SCRIPT_NAME);
        vec![Argument { key: "model.default", text, origin: "demo".to_owned() }]
    }
}

pub(crate) async fn run(context: Context, arguments: Arguments) -> Result<Exit, Error> {
    let actor = context.actor();
    let persona = demo::persona(&context.host)?;
    let workspace = context.directory.clone();
    let report = workspace.join(demo::REPORT);
    let sandbox = context.settings.sandbox();
    let app = context.open().await?;
    let task = vec![Part::text(demo::TASK)];
    let start = StartRun {
        persona,
        task,
        workspace,
        limits: Limits::default(),
        ceiling: Vec::new(),
        sandbox,
        conversation: false,
        models: Vec::new(),
        mode: None,
    };
    let run = app.start(&actor, start).await?;
    let approve = if arguments.approve { vec!["fs.write".to_owned()] } else { Vec::new() };
    let arguments = DriveArguments { output: Output::Text, approve, wait: false };
    let exit = drive(&app, &actor, run, &arguments, &Answers::at_terminal(&arguments)).await?;
    let summary = app.run(run).await?;
    if summary.status == RunStatus::Completed {
        render::heading("Timeline");
        let mut timeline = render::timeline::Timeline::new(false);
        app.journal(run, 0).await?.iter().for_each(|event| timeline.print(event));
        render::heading("Next");
        render::line(&format!("the report:          {}", report.display()));
        render::line(&format!("the whole run:       masque runs show {run}"));
        next_model(&app).await?;
    }
    app.close().await?;
    Ok(exit)
}

/// How to do the same with a real model, if one can be asked.
async fn next_model(app: &App) -> Result<(), Error> {
    let usable: Vec<String> =
        app.providers().await?.into_iter().filter(|provider| provider.usable).map(|provider| provider.name).collect();
    let command = "masque run architect -p \"Review this repository\"";
    if usable.is_empty() {
        render::line(&format!("on a real model:     set ANTHROPIC_API_KEY, or start Ollama; then {command}"));
    } else {
        render::line(&format!("on a real model:     {command}   (found: {})", usable.join(", ")));
    }
    Ok(())
}
