//! `masque worker`: drives runs that nobody drives, until it is stopped.

use std::time::{Duration, Instant};

use masque_app::{
    App, Error,
    runs::{Drive, Driven, Progress, Waits, WhenWaiting},
};
use tokio_util::sync::CancellationToken;

use super::Context;
use crate::{exit::Exit, render};

/// How often a worker looks whether a backup, a clean-up or a round of the curator is due.
const BACKUP_LOOK: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Drive this run only, and end with it
    #[arg(long)]
    run: Option<String>,
    /// End when no run can go on
    #[arg(long, conflicts_with = "run")]
    drain: bool,
    /// Drive jobs only, several at once, and end when none is left; one process does so at a time
    #[arg(long, conflicts_with_all = ["run", "drain"])]
    jobs: bool,
}

pub(crate) async fn run(context: Context, arguments: Arguments) -> Result<Exit, Error> {
    let app = context.open().await?;
    let stop = CancellationToken::new();
    let exit = tokio::select! {
        exit = work(&app, &arguments, &stop) => exit,
        result = interrupted(&stop) => result.map(|()| Exit::Success),
    };
    app.close().await?;
    exit
}

/// Asks the run in hand to stop, and leaves it a moment to give its lease back.
async fn interrupted(stop: &CancellationToken) -> Result<(), Error> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    stop.cancel();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    Ok(())
}

async fn work(app: &App, arguments: &Arguments, stop: &CancellationToken) -> Result<Exit, Error> {
    if arguments.jobs {
        if !app.work_jobs(stop.clone()).await? {
            render::note("another process drives the jobs already");
        }
        return Ok(Exit::Success);
    }
    let quiet = |_: Progress<'_>| {};
    if let Some(run) = &arguments.run {
        let run = app.find_run(run).await?;
        let drive = Drive {
            when_waiting: &|_| WhenWaiting::Stay,
            between_turns: WhenWaiting::Park,
            observe: &quiet,
            stop: stop.clone(),
        };
        app.drive(run, drive).await?;
        return Ok(Exit::of_status(app.run(run).await?.status));
    }
    let mut looked: Option<Instant> = None;
    loop {
        if looked.is_none_or(|looked| looked.elapsed() >= BACKUP_LOOK) {
            looked = Some(Instant::now());
            back_up(app).await?;
            clean_up(app).await?;
            curate(app, stop).await;
        }
        let drive = Drive {
            when_waiting: &|_| WhenWaiting::Park,
            between_turns: WhenWaiting::Park,
            observe: &quiet,
            stop: stop.clone(),
        };
        match app.drive_next(drive).await? {
            Some((run, Ok(driven))) => render::note(&format!("{run}: {}", word(&driven))),
            Some((run, Err(error))) => {
                render::note(&format!("{run} cannot be driven here:"));
                render::error(&error);
            }
            None if arguments.drain => return Ok(Exit::Success),
            None => app.await_work().await,
        }
        if stop.is_cancelled() {
            return Ok(Exit::Success);
        }
    }
}

/// Makes the backups that are due.
async fn back_up(app: &App) -> Result<(), Error> {
    for (name, done) in app.due_backups().await? {
        match done {
            Ok(version) => render::note(&format!("{name}: version {version} was made by the schedule")),
            Err(error) => {
                render::note(&format!("{name} cannot be backed up:"));
                render::error(&error);
            }
        }
    }
    Ok(())
}

/// Deletes the jobs that are kept no longer.
async fn clean_up(app: &App) -> Result<(), Error> {
    match app.clean_up_jobs().await? {
        Some(deleted) if deleted.runs > 0 => render::note(&format!("{} old jobs were deleted", deleted.jobs)),
        _ => {}
    }
    Ok(())
}

/// Has summaries written when that is due. That it fails is no reason not to drive runs.
async fn curate(app: &App, stop: &CancellationToken) {
    match app.curate_when_due(stop).await {
        Ok(Some(curated)) if !curated.groups.is_empty() => render::memory::curated(&curated),
        Ok(_) => {}
        Err(error) => {
            render::note("the memory cannot be curated:");
            render::error(&error);
        }
    }
}

fn word(driven: &Driven) -> &'static str {
    match driven {
        Driven::Ended(_) => "ended",
        Driven::Waiting(Waits::Answers) => "waits for a human",
        Driven::Waiting(Waits::Runs) => "waits for runs that it called",
        Driven::Waiting(Waits::Words) => "waits for the next words",
        Driven::HeldBy { .. } | Driven::LeaseLost => "is another worker's now",
        Driven::Stopped => "stopped",
    }
}
