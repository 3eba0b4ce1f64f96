//! A turn: what the person says, and what is shown until the persona waits for words again.
//!
//! Leaves out the look of what is shown.

use std::time::Duration;

use masque_app::{
    App, Error,
    conversations::Say,
    runs::{Outcome, StartRun},
};
use masque_types::{
    id::RunId,
    message::{Part, joined_text},
};
use tokio_util::sync::CancellationToken;

use super::{
    attachments,
    drives::{Request, Told},
    session::{After, Session, questions},
    terminal::Quiet,
};
use crate::exit::Exit;

/// How often what moves is drawn.
const TICK: Duration = Duration::from_millis(100);

impl Session<'_> {
    /// Says something and shows what comes of it.
    pub(crate) async fn turn(&mut self, words: &str) -> Result<After, Error> {
        let (mut parts, notes) = attachments::parts(words, &self.workspace);
        for note in notes {
            self.view.note(&note);
        }
        let told = self.add_results(&mut parts).await?;
        let run = self.say(parts).await?;
        self.front.untold.retain(|child| !told.contains(child));
        self.front.models.clear();
        self.remember()?;
        self.turn_over = false;
        self.watch(run).await
    }

    async fn say(&mut self, parts: Vec<Part>) -> Result<RunId, Error> {
        if let Some(run) = self.front.run {
            let say = Say { parts, models: self.front.models.clone() };
            self.app.say(&self.actor, run, say).await?;
            return Ok(run);
        }
        self.begin(parts).await
    }

    /// Begins a conversation with the persona in front.
    pub(crate) async fn begin(&mut self, parts: Vec<Part>) -> Result<RunId, Error> {
        let start = StartRun {
            conversation: true,
            models: self.front.models.clone(),
            mode: self.front.mode,
            ..self.start_of(&self.front.persona, parts)
        };
        let run = self.app.start(&self.actor, start).await?;
        self.front.run = Some(run);
        self.front.mode = None;
        self.remember()?;
        self.turn_over = false;
        Ok(run)
    }

    /// Adds the results of runs that were started from here and have ended; gives these runs.
    async fn add_results(&self, parts: &mut Vec<Part>) -> Result<Vec<RunId>, Error> {
        let mut told = Vec::new();
        for run in &self.front.untold {
            if let Some(result) = result(self.app, *run).await? {
                parts.push(Part::text(result));
                told.push(*run);
            }
        }
        Ok(told)
    }

    /// Has a conversation driven and shows it until it waits for words.
    pub(crate) async fn watch(&mut self, run: RunId) -> Result<After, Error> {
        self.drive(run);
        self.view.begin_turn("waiting for the model");
        let quiet = Quiet::begin();
        let watched = self.watched(run, &quiet).await;
        self.view.end_turn();
        drop(quiet);
        self.know();
        watched
    }

    async fn watched(&mut self, run: RunId, quiet: &Quiet) -> Result<After, Error> {
        let mut ticks = tokio::time::interval(TICK);
        let mut stopping = false;
        while !self.turn_over {
            tokio::select! {
                told = self.told.recv() => {
                    let Some((from, told)) = told else { return Ok(After::Leave(Exit::Environment)) };
                    self.hear(from, told).await?;
                    while let Ok((from, told)) = self.told.try_recv() {
                        self.hear(from, told).await?;
                    }
                    self.view.draw();
                }
                _ = ticks.tick() => self.view.tick(),
                _ = self.signals.interrupt.recv() => {
                    if stopping {
                        leave_at_once(quiet);
                    }
                    stopping = true;
                    // The turn may have ended in this moment: then there is nothing to stop.
                    let _ = self.app.interrupt(&self.actor, run).await;
                }
                _ = self.signals.terminate.recv() => return Ok(After::Leave(Exit::Environment)),
            }
            while let Some(question) = self.asked.pop_front() {
                if let Some(after) = self.ask(question).await? {
                    return Ok(after);
                }
                if self.turn_over {
                    break;
                }
            }
        }
        Ok(After::Stay)
    }

    /// Runs a persona on a task of its own, shows it folded, and keeps its result for the next words.
    pub(crate) async fn call(&mut self, name: &str, task: &str) -> Result<After, Error> {
        let persona = self.persona(name)?;
        let (parts, notes) = attachments::parts(task, &self.workspace);
        for note in notes {
            self.view.note(&note);
        }
        let start = self.start_of(&persona, parts);
        let child = self.app.start(&self.actor, start).await?;
        self.front.untold.push(child);
        self.remember()?;
        self.view.begin_turn(&format!("{name}: begins"));
        let quiet = Quiet::begin();
        let called = self.called(child, name, &quiet).await;
        self.view.end_turn();
        drop(quiet);
        let after = called?;
        if let Some(result) = outcome(self.app, child).await? {
            self.view.say(&format!("{name} on “{}”:", crate::render::style::shortened(task, 60)));
            self.view.markdown(&result);
            self.view.note(&format!("back to {}; it is told with your next words", self.front.persona.name));
        }
        Ok(after)
    }
}

impl Session<'_> {
    /// Shows a run that was started from here until it ends.
    async fn called(&mut self, child: RunId, name: &str, quiet: &Quiet) -> Result<After, Error> {
        let stop = CancellationToken::new();
        let _ = self.requests.send(Request { run: child, workspace: self.workspace.clone(), stop: stop.clone() });
        let mut ticks = tokio::time::interval(TICK);
        let mut stopping = false;
        loop {
            tokio::select! {
                told = self.told.recv() => {
                    let Some((from, told)) = told else { return Ok(After::Leave(Exit::Environment)) };
                    match told {
                        Told::Over(driven) if from == child => return driven.map(|_| After::Stay),
                        told if from == child => {
                            let told = Told::Child { persona: name.to_owned(), told: Box::new(told) };
                            self.asked.extend(questions(&told));
                            self.view.take(&told);
                        }
                        told => self.hear(from, told).await?,
                    }
                    self.view.draw();
                }
                _ = ticks.tick() => self.view.tick(),
                _ = self.signals.interrupt.recv() => {
                    if stopping {
                        leave_at_once(quiet);
                    }
                    stopping = true;
                    self.view.note("stopping it; once more to leave at once");
                    let _ = self.app.cancel(&self.actor, child).await;
                }
                _ = self.signals.terminate.recv() => {
                    stop.cancel();
                    return Ok(After::Leave(Exit::Environment));
                }
            }
            while let Some(question) = self.asked.pop_front() {
                if let Some(after) = self.ask(question).await? {
                    stop.cancel();
                    return Ok(after);
                }
            }
        }
    }
}

/// What a run that was started from a session came to, as the conversation is told; nothing while it goes on.
async fn result(app: &App, run: RunId) -> Result<Option<String>, Error> {
    let Some(text) = outcome(app, run).await? else { return Ok(None) };
    let state = app.state(run).await?;
    let persona = state.persona.as_ref().map_or("another persona", |persona| persona.name.as_str());
    let task = joined_text(state.spec.task.get(..1).unwrap_or_default());
    Ok(Some(format!("<result persona=\"{persona}\" run=\"{run}\">\nTask: {task}\n\n{text}\n</result>")))
}

async fn outcome(app: &App, run: RunId) -> Result<Option<String>, Error> {
    let state = app.state(run).await?;
    Ok(state.outcome.as_ref().map(|outcome| match outcome {
        Outcome::Completed { text, .. } => text.clone(),
        Outcome::Failed { message, partial, .. } => format!("It failed: {message}\n\n{partial}").trim().to_owned(),
        Outcome::Cancelled { partial, .. } => format!("It was stopped.\n\n{partial}").trim().to_owned(),
    }))
}

/// Leaves without waiting for anything; the terminal is as it was.
#[expect(clippy::exit, clippy::disallowed_methods, reason = "the person asked twice; the session can be resumed")]
pub(crate) fn leave_at_once(quiet: &Quiet) -> ! {
    quiet.restore();
    std::process::exit(i32::from(Exit::Cancelled.code()))
}
