//! A session without a terminal: each line of the input is a turn, and the answers are plain text on standard output.
//!
//! What happens beside the answers goes to standard error. Questions that no flag answers end the session: they wait for
//! a person elsewhere.

use std::io::BufRead as _;

use masque_app::{
    App, Error,
    conversations::Say,
    runs::{Drive, Driven, StartRun, Waits, WhenWaiting},
};
use masque_types::{
    actor::Channel,
    approval::{Answer, Approval, Question},
    cost::Limits,
    event::EventBody,
    id::{ApprovalId, RunId},
    message::Part,
    persona::Persona,
    policy,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Setup,
    front::Front,
    input::{self, Input},
    session::Signals,
};
use crate::{
    exit::Exit,
    render::{self, live::Live, style},
};

pub(super) async fn run(app: &App, setup: Setup, persona: Persona) -> Result<Exit, Error> {
    let mut front = Front::new(persona);
    if let Some(wanted) = &setup.resume {
        let summary = app.find_session(&setup.sessions, wanted).await?;
        let persona = setup.catalog.find(&summary.persona).map_or(front.persona, |found| found.persona.clone());
        front = Front::again(persona, summary.id, setup.sessions.of(summary.id));
    }
    let mut plain = Plain { app, setup, front, signals: Signals::new()? };
    let mut lines = lines();
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            _ = plain.signals.interrupt.recv() => return Ok(Exit::Cancelled),
            _ = plain.signals.terminate.recv() => return Ok(Exit::Environment),
        };
        let Some(line) = line else { break };
        let exit = match input::parse(&line?) {
            Input::Nothing => None,
            Input::Words(words) => plain.turn(words).await?,
            Input::Command { name: "quit" | "exit" | "q", .. } => break,
            Input::Command { name, .. } => {
                return Err(Error::usage(format!("/{name} needs a terminal")).hint(
                    "without one, each line is said to the persona; a line that begins with a blank and a slash too",
                ));
            }
        };
        if let Some(exit) = exit {
            return Ok(exit);
        }
    }
    Ok(Exit::Success)
}

/// The lines of the input, read by a thread: nothing else stops while it waits for the next one.
fn lines() -> mpsc::UnboundedReceiver<std::io::Result<String>> {
    let (send, lines) = mpsc::unbounded_channel();
    // It ends with the input; at an early end of the session nobody waits for it.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

struct Plain<'a> {
    app: &'a App,
    setup: Setup,
    front: Front,
    signals: Signals,
}

impl Plain<'_> {
    /// Says something and prints the answer; tells when the session ends with that.
    async fn turn(&mut self, words: &str) -> Result<Option<Exit>, Error> {
        let run = self.say(words).await?;
        if let Some(session) = self.front.kept(self.app.now()) {
            self.setup.sessions.put(session)?;
        }
        let driven = self.drive(run).await?;
        match driven {
            Driven::Waiting(Waits::Words) => {
                let state = self.app.state(run).await?;
                render::line(&style::harmless(state.turn_text().trim_end()));
                Ok(None)
            }
            Driven::Waiting(Waits::Answers | Waits::Runs) => {
                let summary = self.app.run(run).await?;
                let live = Live::new(crate::cli::drive::Output::Text, &summary, &[]);
                live.waiting(&summary, &self.app.approvals_of_tree(run).await?);
                Ok(Some(Exit::NeedsApproval))
            }
            Driven::Ended(_) => Ok(Some(Exit::of_status(self.app.run(run).await?.status))),
            Driven::Stopped => Ok(Some(Exit::Cancelled)),
            Driven::HeldBy { .. } | Driven::LeaseLost => Err(Error::refused(format!("another process works on {run}"))),
        }
    }

    async fn say(&mut self, words: &str) -> Result<RunId, Error> {
        let (parts, notes) = super::attachments::parts(words, &self.setup.workspace);
        notes.iter().for_each(|note| render::note(note));
        if let Some(run) = self.front.run {
            let say = Say { parts, models: Vec::new() };
            self.app.say(&self.setup.actor, run, say).await?;
            return Ok(run);
        }
        let run = self.app.start(&self.setup.actor, self.start_of(parts)).await?;
        self.front.run = Some(run);
        Ok(run)
    }

    fn start_of(&self, task: Vec<Part>) -> StartRun {
        StartRun {
            persona: self.front.persona.clone(),
            task,
            workspace: self.setup.workspace.clone(),
            limits: Limits::default(),
            ceiling: self.setup.terms.ceiling.clone(),
            sandbox: self.setup.terms.sandbox,
            conversation: true,
            models: Vec::new(),
            mode: None,
        }
    }

    async fn drive(&mut self, run: RunId) -> Result<Driven, Error> {
        let (say_asked, mut asked) = mpsc::unbounded_channel::<ApprovalId>();
        let live = Live::new(crate::cli::drive::Output::Json, &self.app.run(run).await?, &[]);
        let observe = |progress: masque_app::runs::Progress<'_>| {
            if let masque_app::runs::Progress::Committed(events) = &progress {
                for event in *events {
                    if let EventBody::ApprovalRequested { approval, .. } = &event.body {
                        let _ = say_asked.send(*approval);
                    }
                }
            }
            live.show(&progress);
        };
        let terms = &self.setup.terms;
        let is_approved = |question: &Question| match question {
            Question::ToolCall { tool, .. } => policy::is_among(&terms.approve, tool),
            Question::InDoubt { .. } | Question::Input { .. } => false,
        };
        let stays = |approval: &Approval| match is_approved(&approval.question) {
            true => WhenWaiting::Stay,
            false => WhenWaiting::Park,
        };
        let stop = CancellationToken::new();
        let drive =
            Drive { when_waiting: &stays, between_turns: WhenWaiting::Park, observe: &observe, stop: stop.clone() };
        let driving = self.app.drive(run, drive);
        let answering = async {
            while let Some(id) = asked.recv().await {
                let approval = self.app.find_approval(&id.to_string()).await?;
                if approval.ruling.is_none() && is_approved(&approval.question) {
                    self.app.answer(&self.setup.actor, &approval, Answer::Approve, Channel::Flag).await?;
                }
            }
            std::future::pending::<Result<(), Error>>().await
        };
        let (interrupt, terminate) = (&mut self.signals.interrupt, &mut self.signals.terminate);
        let stopping = async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            stop.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            driven = driving => driven,
            Err(error) = answering => Err(error),
            () = stopping => Ok(Driven::Stopped),
        }
    }
}
