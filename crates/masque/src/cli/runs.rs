//! `masque runs`: list, show, steer and delete runs.

use std::time::Duration;

use masque_app::{App, Error, config::Argument, forks::Fork, runs::RunFilter};
use masque_types::{
    id::Seq,
    message::Part,
    model::ModelRef,
    run::{RunStatus, RunSummary},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    Context,
    drive::{Answers, DriveArguments, Output, drive},
};
use crate::{exit::Exit, render};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List runs, newest first
    List(List),
    /// Show a run and its timeline
    Show(Show),
    /// Follow a run as it happens
    Watch(Watch),
    /// Go on with a run that stopped, crashed or waits
    Resume(Resume),
    /// Stop a run and keep its partial result
    Cancel(One),
    /// Branch a run off at an event; the parent stays as it is
    Fork(ForkArguments),
    /// Replay a run without effects and check that its journal is consistent
    Replay(One),
    /// Delete runs that ended, with what they called and what was forked from them; the audit log stays
    Prune(Prune),
    /// Write a run's journal as JSON lines, or as a script for the scripted model
    Export(Export),
}

#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// Only runs in this status: running, waiting, completed, failed, cancelled
    #[arg(long, value_parser = status)]
    status: Option<RunStatus>,
    /// Only runs of this persona
    #[arg(long)]
    persona: Option<String>,
    /// Only runs that this run called: its id, the beginning of it, or `last`
    #[arg(long, value_name = "RUN")]
    parent: Option<String>,
    /// Only conversations
    #[arg(long)]
    conversations: bool,
    /// Only jobs: runs that editors and other programs asked for
    #[arg(long)]
    jobs: bool,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 20)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// Run: its id, the beginning of it, or `last`
    run: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    #[command(flatten)]
    one: One,
    /// Show the texts of messages and results whole
    #[arg(long)]
    full: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    one: One,
    /// Only events after this one
    #[arg(long, default_value_t = 0)]
    after: Seq,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Resume {
    /// Run: its id, the beginning of it, or `last`
    run: String,
    #[command(flatten)]
    drive: DriveArguments,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ForkArguments {
    /// Run: its id, the beginning of it, or `last`
    run: String,
    /// Last event of the parent that belongs to the fork too; its last one when absent
    #[arg(long, value_name = "EVENT")]
    at: Option<Seq>,
    /// What to add to the conversation
    #[arg(short, long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Models to ask from there on
    #[arg(short, long, value_name = "MODELS")]
    model: Option<String>,
    /// Create the fork without driving it
    #[arg(long)]
    no_drive: bool,
    #[command(flatten)]
    drive: DriveArguments,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Prune {
    /// Only what ended so long ago, such as 30d
    #[arg(long, value_name = "TIME", value_parser = masque_app::config::duration)]
    older_than: Duration,
    /// Only jobs with what they called
    #[arg(long)]
    jobs: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// Run: its id, the beginning of it, or `last`
    run: String,
    /// Form of the export
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// Every event, one JSON object per line
    Jsonl,
    /// A script that answers as the models of the run did
    Script,
}

fn status(text: &str) -> Result<RunStatus, String> {
    RunStatus::from_name(text).ok_or_else(|| "expected running, waiting, completed, failed or cancelled".to_owned())
}

impl Command {
    /// The options among the arguments, as configuration of the highest layer.
    pub(crate) fn settings(&self) -> Vec<Argument> {
        match self {
            Self::Fork(ForkArguments { model: Some(model), .. }) => {
                vec![Argument { key: "model.default", text: model.clone(), origin: "--model".to_owned() }]
            }
            _ => Vec::new(),
        }
    }
}

pub(crate) async fn run(context: Context, command: Command) -> Result<Exit, Error> {
    let actor = context.actor();
    let app = context.open().await?;
    let exit = match command {
        Command::List(list) => print_list(&app, list).await,
        Command::Show(show) => print_run(&app, show).await,
        Command::Watch(watch) => follow(&app, watch).await,
        Command::Resume(resume) => {
            let run = app.find_run(&resume.run).await?;
            let summary = app.run(run).await?;
            if summary.status.is_final() {
                Err(Error::refused(format!("{run} is {} already", summary.status.name()))
                    .hint(format!("go on from it in a new run: masque runs fork {run} -p \"…\"")))
            } else {
                drive(&app, &actor, run, &resume.drive, &Answers::at_terminal(&resume.drive)).await
            }
        }
        Command::Cancel(one) => {
            let run = app.find_run(&one.run).await?;
            let summary = app.cancel(&actor, run).await?;
            print_summary(&summary, one.json);
            Ok(Exit::Success)
        }
        Command::Fork(arguments) => fork(&app, &actor, arguments).await,
        Command::Replay(one) => replay(&app, one).await,
        Command::Prune(arguments) => prune(&app, &actor, &arguments).await,
        Command::Export(export) => print_export(&app, export).await,
    };
    app.close().await?;
    exit
}

async fn print_list(app: &App, list: List) -> Result<Exit, Error> {
    let parent = match &list.parent {
        Some(parent) => Some(app.find_run(parent).await?),
        None => None,
    };
    let filter = RunFilter {
        status: list.status,
        persona: list.persona,
        conversation: list.conversations.then_some(true),
        job: list.jobs.then_some(true),
        parent,
        before: None,
        limit: list.limit,
    };
    let runs = app.runs(&filter).await?;
    if list.json {
        render::json(&runs);
    } else {
        render::runs::table(&runs, app.now());
    }
    Ok(Exit::Success)
}

fn print_summary(summary: &RunSummary, json: bool) {
    if json {
        render::json(summary);
    } else {
        render::runs::print_line(summary);
    }
}

async fn print_run(app: &App, show: Show) -> Result<Exit, Error> {
    let run = app.find_run(&show.one.run).await?;
    let (summary, events) = (app.run(run).await?, app.journal(run, 0).await?);
    if show.one.json {
        render::json(&json!({ "run": summary, "worker": app.held_by(run).await?, "events": events }));
    } else {
        let called = app.runs(&RunFilter { parent: Some(run), ..RunFilter::default() }).await?;
        render::runs::head(&summary, app.held_by(run).await?.as_deref(), &events);
        render::runs::called(&called);
        render::runs::timeline_head();
        let mut timeline = render::timeline::Timeline::new(show.full);
        for event in &events {
            timeline.print(event);
        }
        render::runs::tail(&summary, &events);
    }
    Ok(Exit::Success)
}

async fn follow(app: &App, watch: Watch) -> Result<Exit, Error> {
    let run = app.find_run(&watch.one.run).await?;
    let mut timeline = render::timeline::Timeline::new(false);
    let show = |events: &[masque_types::event::Event]| {
        for event in events {
            if watch.one.json {
                render::event_json(run, event);
            } else {
                timeline.print(event);
            }
        }
    };
    let stop = CancellationToken::new();
    let status = tokio::select! {
        status = app.follow(run, watch.after, stop, show) => status?,
        _ = tokio::signal::ctrl_c() => return Ok(Exit::Success),
    };
    Ok(Exit::of_status(status))
}

async fn fork(app: &App, actor: &masque_types::actor::Actor, arguments: ForkArguments) -> Result<Exit, Error> {
    let parent = app.find_run(&arguments.run).await?;
    let models: Vec<ModelRef> = if arguments.model.is_some() { app.settings.default_models() } else { Vec::new() };
    let instruction = arguments.prompt.map(Part::text).into_iter().collect();
    let forked = app.fork(actor, parent, Fork { at: arguments.at, instruction, models }).await?;
    for (tool, call) in &forked.effects_after {
        render::note(&format!("the parent did this after event {}, and it stays done: {tool} ({call})", forked.at));
    }
    if arguments.no_drive {
        match arguments.drive.output {
            Output::Text => render::line(&forked.run.to_string()),
            Output::Json | Output::StreamJson => render::json(&json!({ "run": forked.run, "at": forked.at })),
        }
        return Ok(Exit::Success);
    }
    drive(app, actor, forked.run, &arguments.drive, &Answers::at_terminal(&arguments.drive)).await
}

async fn prune(app: &App, actor: &masque_types::actor::Actor, arguments: &Prune) -> Result<Exit, Error> {
    let deleted = app.prune_runs(actor, arguments.older_than, arguments.jobs).await?;
    if arguments.json {
        render::json(&deleted);
    } else {
        render::line(&format!("{} runs deleted, {} of them jobs", deleted.runs, deleted.jobs));
    }
    Ok(Exit::Success)
}

async fn replay(app: &App, one: One) -> Result<Exit, Error> {
    let run = app.find_run(&one.run).await?;
    let (replay, events) = app.replay(run).await?;
    if one.json {
        render::json(&json!({ "run": run, "replay": replay }));
    } else {
        let mut timeline = render::timeline::Timeline::new(false);
        for event in &events {
            timeline.print(event);
        }
        match replay.differs_at {
            None => render::line(&format!("{} events replayed: the same decisions, no effects", replay.events)),
            Some(seq) => render::line(&format!(
                "{} events replayed, no effects; this Masque would decide otherwise from event {seq} on",
                replay.events
            )),
        }
    }
    Ok(if replay.differs_at.is_none() { Exit::Success } else { Exit::Failed })
}

async fn print_export(app: &App, export: Export) -> Result<Exit, Error> {
    let run = app.find_run(&export.run).await?;
    match export.format {
        Format::Script => render::text(&app.export_script(run).await?),
        Format::Jsonl => {
            for event in app.journal(run, 0).await? {
                render::event_json(run, &event);
            }
        }
    }
    Ok(Exit::Success)
}
