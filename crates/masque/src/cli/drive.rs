//! Driving a run in the foreground: shows it live, asks what a flag or the person at the terminal can answer, and
//! ends it cleanly on Ctrl-C.

use std::{
    io::{BufRead as _, IsTerminal as _, Write as _},
    sync::Arc,
};

use masque_app::{
    App, Error,
    runs::{Drive, Driven, Waits, WhenWaiting},
};
use masque_types::{
    actor::{Actor, Channel},
    approval::{Answer, Approval, Question},
    event::EventBody,
    id::{ApprovalId, RunId},
    policy,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use crate::{
    exit::Exit,
    render::{self, live::Live},
};

/// In which form a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// The answer on standard output, progress on standard error
    Text,
    /// One JSON object at the end
    Json,
    /// One JSON object per event, as it happens
    StreamJson,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DriveArguments {
    /// How to show the run
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) output: Output,
    /// Approve calls of these tools without asking, by name or pattern; each is recorded
    #[arg(long, value_name = "TOOL")]
    pub(crate) approve: Vec<String>,
    /// Stay while the run waits for a human instead of leaving it
    #[arg(long)]
    pub(crate) wait: bool,
}

/// Who answers the questions of a run that is driven here.
pub(crate) struct Answers {
    approve: Vec<String>,
    interactive: bool,
    wait: bool,
}

impl Answers {
    /// Flags first, then the person, if there is a terminal to ask at.
    pub(crate) fn at_terminal(arguments: &DriveArguments) -> Self {
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        Self {
            approve: arguments.approve.clone(),
            interactive: terminal && arguments.output == Output::Text,
            wait: arguments.wait,
        }
    }

    fn approves(&self, question: &Question) -> bool {
        let Question::ToolCall { tool, .. } = question else { return false };
        policy::is_among(&self.approve, tool)
    }

    fn stays(&self, approval: &Approval) -> WhenWaiting {
        if self.wait || self.interactive || self.approves(&approval.question) {
            WhenWaiting::Stay
        } else {
            WhenWaiting::Park
        }
    }
}

/// Drives a run until it ends or waits, and shows it.
pub(crate) async fn drive(
    app: &App,
    actor: &Actor,
    run: RunId,
    arguments: &DriveArguments,
    answers: &Answers,
) -> Result<Exit, Error> {
    let summary = app.run(run).await?;
    let live = Arc::new(Live::new(arguments.output, &summary, &app.journal(run, 0).await?));
    let (say_asked, mut asked) = mpsc::unbounded_channel();
    // What was asked before this process took the run is answered here as well.
    for approval in app.approvals_of_tree(run).await? {
        let _ = say_asked.send(approval.id);
    }
    let shown = Arc::clone(&live);
    let observe = move |progress: masque_app::runs::Progress<'_>| {
        for approval in asked_in(&progress) {
            let _ = say_asked.send(approval);
        }
        shown.show(&progress);
    };
    let stop = CancellationToken::new();
    let stays = |approval: &Approval| answers.stays(approval);
    let driving = app.drive(
        run,
        Drive { when_waiting: &stays, between_turns: WhenWaiting::Park, observe: &observe, stop: stop.clone() },
    );
    let answering = async {
        while let Some(id) = asked.recv().await {
            let approval = app.find_approval(&id.to_string()).await?;
            if approval.ruling.is_none() {
                answer(app, actor, &approval, answers, &live).await?;
            }
        }
        std::future::pending::<Result<(), Error>>().await
    };
    let driven = tokio::select! {
        driven = driving => driven?,
        Err(error) = answering => return Err(error),
        Err(error) = interrupts(app, actor, run, &stop, &live) => return Err(error),
    };
    finish(app, run, &driven, &live).await
}

/// The questions that were asked now, in the run or in one that it called.
fn asked_in(progress: &masque_app::runs::Progress<'_>) -> Vec<ApprovalId> {
    match progress {
        masque_app::runs::Progress::Child { progress, .. } => asked_in(progress),
        masque_app::runs::Progress::Committed(events) => events
            .iter()
            .filter_map(|event| match &event.body {
                EventBody::ApprovalRequested { approval, .. } => Some(*approval),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

async fn finish(app: &App, run: RunId, driven: &Driven, live: &Live) -> Result<Exit, Error> {
    let summary = app.run(run).await?;
    match driven {
        Driven::Ended(outcome) => live.ended(&summary, outcome),
        Driven::Waiting(Waits::Answers | Waits::Runs) => {
            live.waiting(&summary, &app.approvals_of_tree(run).await?);
        }
        Driven::Waiting(Waits::Words) => live.turn_over(&app.state(run).await?.turn_text()),
        Driven::HeldBy { worker, .. } => {
            return Err(Error::refused(format!("{run} is being worked on by {worker}"))
                .hint(format!("watch it: masque runs watch {run}")));
        }
        Driven::LeaseLost => {
            return Err(Error::refused(format!("{run} was taken over by another worker"))
                .hint(format!("watch it: masque runs watch {run}")));
        }
        Driven::Stopped => live.note(&format!("stopped; resume it: masque runs resume {run}")),
    }
    Ok(match driven {
        Driven::Stopped => Exit::Environment,
        Driven::Waiting(Waits::Answers | Waits::Runs) => Exit::NeedsApproval,
        Driven::Waiting(Waits::Words) => Exit::Success,
        _ => Exit::of_status(summary.status),
    })
}

/// Ctrl-C cancels the run and keeps its partial result; a second one leaves at once. SIGTERM stops without ending the
/// run.
async fn interrupts(app: &App, actor: &Actor, run: RunId, stop: &CancellationToken, live: &Live) -> Result<(), Error> {
    // One listener for both: a second Ctrl-C that follows at once is not lost.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {
            stop.cancel();
            return std::future::pending().await;
        }
    }
    live.note("cancelling; once more to leave at once");
    let cancel = async {
        // The run may have ended in this moment: then there is nothing to cancel.
        let _ = app.cancel(actor, run).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = cancel => Ok(()),
        _ = interrupt.recv() => leave_at_once(),
    }
}

#[expect(clippy::exit, clippy::disallowed_methods, reason = "the user asked twice; the run can be resumed")]
fn leave_at_once() -> ! {
    std::process::exit(i32::from(Exit::Cancelled.code()))
}

async fn answer(app: &App, actor: &Actor, approval: &Approval, answers: &Answers, live: &Live) -> Result<(), Error> {
    if answers.approves(&approval.question) {
        return app.answer(actor, approval, Answer::Approve, Channel::Flag).await;
    }
    if !answers.interactive {
        return Ok(());
    }
    let question = approval.clone();
    live.make_room();
    if approval.run != live.run() {
        // A called persona must not be taken for the one that was started.
        live.asked_by(&app.run(approval.run).await?.persona);
    }
    let answered = tokio::task::spawn_blocking(move || ask(&question)).await;
    match answered {
        Ok(Some(given)) => app.answer(actor, approval, given, Channel::Cli).await,
        _ => Ok(()),
    }
}

/// Asks at the terminal until the answer is understood; `None` at the end of the input.
fn ask(approval: &Approval) -> Option<Answer> {
    render::question(approval);
    let mut input = std::io::stdin().lock().lines();
    loop {
        let mut error = anstream::stderr();
        let _ = write!(error, "{} ", prompt(&approval.question));
        let _ = error.flush();
        let line = input.next()?.ok()?;
        if let Some(answer) = understood(&approval.question, line.trim()) {
            return Some(answer);
        }
    }
}

const fn prompt(question: &Question) -> &'static str {
    match question {
        Question::ToolCall { .. } => "approve? [y]es, [n]o, or the reason why not:",
        Question::InDoubt { .. } => "did it happen? [h]appened, [r]etry, [a]bort the run:",
        Question::Input { .. } => "your answer:",
    }
}

fn understood(question: &Question, line: &str) -> Option<Answer> {
    match (question, line) {
        (_, "") => None,
        (Question::ToolCall { .. }, "y" | "yes") => Some(Answer::Approve),
        (Question::ToolCall { .. }, "n" | "no") => Some(Answer::Deny { reason: None }),
        (Question::ToolCall { .. }, reason) => Some(Answer::Deny { reason: Some(reason.to_owned()) }),
        (Question::InDoubt { .. }, "h" | "happened") => Some(Answer::Happened { result: None }),
        (Question::InDoubt { .. }, "r" | "retry") => Some(Answer::Retry),
        (Question::InDoubt { .. }, "a" | "abort") => Some(Answer::Abort),
        (Question::InDoubt { .. }, _) => None,
        (Question::Input { choices, .. }, line) => {
            let chosen = line.parse::<usize>().ok().and_then(|number| choices.get(number.checked_sub(1)?));
            Some(Answer::Reply { text: chosen.cloned().unwrap_or_else(|| line.to_owned()) })
        }
    }
}
