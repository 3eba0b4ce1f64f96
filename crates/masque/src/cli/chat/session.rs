//! An interactive session: reads a line, does what it says, and again.
//!
//! Owns what is in front, what is parked behind it, and who is driven. Leaves out turns (`turn`), questions (`asking`)
//! and commands (`commands`).

use std::{collections::VecDeque, path::PathBuf, sync::atomic::Ordering, time::Duration};

use masque_app::{
    App, Error,
    commands::TextCommand,
    personas::{self, Catalog},
    runs::{Driven, StartRun},
    sessions::Sessions,
};
use masque_types::{
    actor::Actor,
    cost::Limits,
    event::{Event, EventBody},
    id::{ApprovalId, RunId},
    message::Part,
    persona::Persona,
    policy::Rule,
    run::SandboxMode,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::{UnboundedReceiver, UnboundedSender},
};
use tokio_util::sync::CancellationToken;

use super::{
    commands,
    completion::Completions,
    drives::{Request, Told},
    editor::{Ask, Editor, Typed},
    front::Front,
    input::{self, Input},
    status::Status,
    view::View,
};
use crate::exit::Exit;

/// A conversation nobody speaks in for so long gives its tools and servers back until the next words.
const IDLE: Duration = Duration::from_secs(600);
/// Turns that are shown when a conversation goes on.
const SHOWN_TURNS: usize = 3;

/// What a line leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// The next line.
    Stay,
    /// The end.
    Leave(Exit),
}

/// What holds for all runs of a session.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) ceiling: Vec<Rule>,
    pub(crate) sandbox: SandboxMode,
    /// Tools approved by flag, by name or pattern.
    pub(crate) approve: Vec<String>,
}

/// Signals of the process.
pub(crate) struct Signals {
    pub(crate) interrupt: Signal,
    pub(crate) terminate: Signal,
}

impl Signals {
    pub(crate) fn new() -> Result<Self, Error> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }
}

/// An interactive session.
pub(crate) struct Session<'a> {
    pub(crate) app: &'a App,
    pub(crate) actor: Actor,
    pub(crate) workspace: PathBuf,
    pub(crate) terms: Terms,
    pub(crate) catalog: Catalog,
    pub(crate) sessions: Sessions,
    /// Commands from files.
    pub(crate) texts: Vec<TextCommand>,
    pub(crate) view: View,
    pub(crate) front: Front,
    /// What was in front before, the latest at the end.
    pub(crate) behind: Vec<Front>,
    pub(crate) signals: Signals,
    pub(crate) completions: Completions,
    /// Absent while it reads.
    pub(crate) editor: Option<Editor>,
    pub(crate) requests: UnboundedSender<Request>,
    pub(crate) told: UnboundedReceiver<(RunId, Told)>,
    /// The conversation that is driven, and what stops that.
    pub(crate) driven: Option<(RunId, CancellationToken)>,
    /// Questions that are yet to be asked.
    pub(crate) asked: VecDeque<ApprovalId>,
    /// Whether the persona waits for words.
    pub(crate) turn_over: bool,
    /// Ctrl-C was pressed on an empty line.
    pub(crate) warned: bool,
    /// The process was asked to end.
    pub(crate) leaving: bool,
}

impl Session<'_> {
    /// Reads and does lines until the person leaves.
    pub(crate) async fn run(&mut self) -> Result<Exit, Error> {
        // What was under way when the session died goes on at once.
        if let Some(run) = self.front.run.filter(|_| !self.turn_over)
            && let After::Leave(exit) = self.watch(run).await?
        {
            return Ok(exit);
        }
        loop {
            let ask = Ask::Words(Box::new(self.status().await?));
            self.view.space();
            let after = match self.read(&ask, None).await? {
                Typed::Line(line) => {
                    self.warned = false;
                    self.view.typed();
                    self.line(&line).await
                }
                Typed::Cleared => {
                    self.warned = false;
                    Ok(After::Stay)
                }
                Typed::Interrupt if self.warned => Ok(After::Leave(Exit::Success)),
                Typed::Interrupt => {
                    self.warned = true;
                    self.view.typed();
                    self.view.note("Ctrl-C once more leaves; the session is kept");
                    Ok(After::Stay)
                }
                Typed::End => Ok(After::Leave(Exit::Success)),
                Typed::Broken => Ok(After::Leave(Exit::Environment)),
            };
            match after {
                Ok(After::Stay) => {}
                Ok(After::Leave(exit)) => return Ok(exit),
                Err(error) => self.view.error(&error),
            }
        }
    }

    /// Does what a line says.
    pub(crate) async fn line(&mut self, line: &str) -> Result<After, Error> {
        // A line that goes on ends with a backslash in front of its break.
        let line = line.replace("\\\n", "\n");
        match input::parse(&line) {
            Input::Nothing => Ok(After::Stay),
            Input::Words(words) => self.turn(words).await,
            Input::Command { name, rest } => commands::run(self, name, rest).await,
        }
    }

    /// Tells what is kept, before the session ends.
    pub(crate) fn goodbye(&mut self) {
        if let Some(run) = self.front.run {
            let what = self.front.name.clone().unwrap_or_else(|| run.to_string());
            self.view.note(&format!("go on with it: masque chat --resume {what}"));
        }
        // Without this, nobody would know that the drives may end.
        if let Some((_, stop)) = self.driven.take() {
            stop.cancel();
        }
    }

    /// Reads a line while runs are driven. With a question, an answer from elsewhere ends the reading.
    pub(crate) async fn read(&mut self, ask: &Ask, question: Option<ApprovalId>) -> Result<Typed, Error> {
        let Some(mut editor) = self.editor.take() else { return Ok(Typed::End) };
        self.view.hold();
        let (stop, can_stop, ask) = (editor.stop(), editor.can_stop(), ask.clone());
        let mut reading = tokio::task::spawn_blocking(move || {
            let typed = editor.read(&ask);
            (editor, typed)
        });
        let idle = tokio::time::sleep(IDLE);
        tokio::pin!(idle);
        let mut was_idle = question.is_some();
        let typed = loop {
            tokio::select! {
                done = &mut reading => match done {
                    Ok((editor, typed)) => {
                        self.editor = Some(editor);
                        break typed;
                    }
                    Err(_) => break Typed::End,
                },
                Some((from, told)) = self.told.recv() => {
                    if question.is_some_and(|question| is_decided(&told, question)) {
                        stop.store(true, Ordering::Relaxed);
                    }
                    // What went wrong beside the prompt is shown after it: nobody must leave the terminal half-way.
                    if let Err(error) = self.hear(from, told).await {
                        self.view.error(&error);
                    }
                }
                () = &mut idle, if !was_idle => {
                    was_idle = true;
                    self.park();
                }
                _ = self.signals.terminate.recv() => {
                    self.leaving = true;
                    stop.store(true, Ordering::Relaxed);
                    if !can_stop {
                        break Typed::Broken;
                    }
                }
                _ = self.signals.interrupt.recv() => {
                    if !can_stop {
                        break Typed::End;
                    }
                }
            }
        };
        self.view.release();
        Ok(typed)
    }

    /// Takes in what is told of a run.
    pub(crate) async fn hear(&mut self, from: RunId, told: Told) -> Result<(), Error> {
        self.asked.extend(questions(&told));
        if self.front.run != Some(from) {
            return Ok(());
        }
        if let Told::Events(events) = &told {
            for event in events {
                self.note_event(event);
            }
        }
        self.view.take(&told);
        if let Told::Over(driven) = told {
            self.driven = None;
            self.over(driven)?;
        }
        Ok(())
    }

    fn note_event(&mut self, event: &Event) {
        match &event.body {
            EventBody::TurnEnded { .. } => self.turn_over = true,
            EventBody::UserSaid { .. } => self.turn_over = false,
            EventBody::PolicyChanged { mode: Some(_), .. } => self.front.mode = None,
            _ => {}
        }
    }

    /// The conversation in front is not driven any more.
    fn over(&mut self, driven: Result<Driven, Error>) -> Result<(), Error> {
        let was_over = std::mem::replace(&mut self.turn_over, true);
        match driven? {
            Driven::Ended(_) => {
                if let Some(run) = self.front.run.take() {
                    self.sessions.remove(run)?;
                    self.view.note(&format!(
                        "the session has ended: masque runs show {run}; what you say now begins a new one"
                    ));
                }
                Ok(())
            }
            Driven::HeldBy { worker, .. } => {
                Err(Error::refused(format!("another process works on this session: {worker}"))
                    .hint("close the other one, or begin a new session here: /clear"))
            }
            Driven::LeaseLost => {
                Err(Error::refused("another process took this session over").hint("begin a new session here: /clear"))
            }
            Driven::Stopped | Driven::Waiting(_) => {
                self.turn_over = was_over;
                Ok(())
            }
        }
    }

    /// Gives the tools and servers of the conversation in front back; the next words take them up again.
    pub(crate) fn park(&mut self) {
        if let Some((_, stop)) = &self.driven {
            stop.cancel();
        }
    }

    /// Parks the conversation in front and waits until nobody drives it.
    pub(crate) async fn put_away(&mut self) -> Result<(), Error> {
        self.park();
        while self.driven.is_some() {
            let Some((from, told)) = self.told.recv().await else { break };
            self.hear(from, told).await?;
        }
        self.remember()
    }

    /// Keeps what is in front in the list of sessions.
    pub(crate) fn remember(&mut self) -> Result<(), Error> {
        match self.front.kept(self.app.now()) {
            Some(session) => self.sessions.put(session),
            None => Ok(()),
        }
    }

    /// Has the conversation in front driven, if nobody does yet.
    pub(crate) fn drive(&mut self, run: RunId) {
        if self.driven.as_ref().is_none_or(|(driven, stop)| *driven != run || stop.is_cancelled()) {
            let stop = CancellationToken::new();
            self.driven = Some((run, stop.clone()));
            let _ = self.requests.send(Request { run, workspace: self.workspace.clone(), stop });
        }
    }

    /// A run for the persona, in this directory and under the terms of this session.
    pub(crate) fn start_of(&self, persona: &Persona, task: Vec<Part>) -> StartRun {
        StartRun {
            persona: persona.clone(),
            task,
            workspace: self.workspace.clone(),
            limits: Limits::default(),
            ceiling: self.terms.ceiling.clone(),
            sandbox: self.terms.sandbox,
            conversation: false,
            models: Vec::new(),
            mode: None,
        }
    }

    /// The persona of a name.
    pub(crate) fn persona(&self, name: &str) -> Result<Persona, Error> {
        Ok(personas::find(&self.catalog, name)?.persona.clone())
    }

    /// Opens a conversation: shows its last turns.
    pub(crate) async fn open(&mut self, run: RunId) -> Result<(), Error> {
        let state = self.app.state(run).await?;
        let persona = state.persona.as_deref().cloned();
        let persona = persona.ok_or_else(|| Error::environment(format!("the journal of {run} names no persona")))?;
        self.workspace = PathBuf::from(&state.spec.workspace);
        self.view.work_in(self.workspace.clone());
        self.front = Front::again(persona, run, self.sessions.of(run));
        self.turn_over = state.turn_over;
        self.asked = self.app.approvals_of_tree(run).await?.iter().map(|approval| approval.id).collect();
        self.remember()?;
        self.know();
        let events = self.app.journal(run, 0).await?;
        let (from, earlier) = last_turns(&events);
        if earlier > 0 {
            let earlier = crate::render::style::counted(earlier as u64, "earlier turn", "earlier turns");
            self.view.note(&format!("… {earlier}: masque runs show {run}"));
        }
        self.view.replay(events.get(from..).unwrap_or_default());
        Ok(())
    }

    /// What can be completed with this persona in front.
    pub(crate) fn know(&mut self) {
        let now = self.app.now();
        let texts = commands::texts(self).iter().map(|text| (text.name.clone(), text.description.clone())).collect();
        let personas = self.catalog.personas.iter().filter(|loaded| !loaded.shadowed);
        let personas =
            personas.map(|loaded| (loaded.persona.name.clone(), loaded.persona.description.clone())).collect();
        let named = |session: &masque_app::sessions::Session| {
            let name = session.name.clone().unwrap_or_else(|| session.run.to_string());
            (name, format!("{}, {} ago", session.persona, crate::render::style::age(now, session.used_at)))
        };
        let sessions = self.sessions.all().map(named).collect();
        let preferred = self.front.persona.model.prefer.iter().cloned().chain(self.app.settings.default_models());
        let models = preferred.map(|model| model.to_string()).collect();
        let workspace = self.workspace.clone();
        self.completions.update(|known| {
            known.workspace = workspace;
            (known.texts, known.personas, known.sessions, known.models) = (texts, personas, sessions, models);
        });
    }

    /// The line above the prompt.
    pub(crate) async fn status(&self) -> Result<Status, Error> {
        let front = &self.front;
        let chosen = front.models.first().cloned();
        let Some(run) = front.run else {
            let preferred = front.persona.model.prefer.first().cloned();
            let default = self.app.settings.default_models().first().cloned();
            let asked = self.app.settings.models_were_asked_for();
            return Ok(Status {
                persona: front.persona.name.clone(),
                model: chosen.or(if asked { default.clone() } else { preferred.or(default) }),
                mode: front.mode.or(self.app.settings.mode()).unwrap_or(front.persona.mode),
                limits: self.app.settings.limits().tightest(front.persona.budget),
                ..Status::default()
            });
        };
        let state = self.app.state(run).await?;
        Ok(Status {
            persona: front.persona.name.clone(),
            session: front.name.clone(),
            model: chosen.or_else(|| state.route.models.first().cloned()),
            mode: front.mode.unwrap_or(state.policy.mode),
            spend: state.spend,
            limits: state.spec.limits,
            context_tokens: state.context_tokens,
            context_limit: state.context_limit,
        })
    }
}

/// Where the last turns of a journal begin, and how many turns come before them.
fn last_turns(events: &[Event]) -> (usize, usize) {
    let begins = |event: &Event| matches!(event.body, EventBody::RunCreated { .. } | EventBody::UserSaid { .. });
    let starts: Vec<usize> =
        events.iter().enumerate().filter(|(_, event)| begins(event)).map(|(place, _)| place).collect();
    let earlier = starts.len().saturating_sub(SHOWN_TURNS);
    (starts.get(earlier).copied().unwrap_or(0), earlier)
}

/// The questions that are asked in what is told, those of called runs too.
pub(crate) fn questions(told: &Told) -> Vec<ApprovalId> {
    match told {
        Told::Events(events) => events
            .iter()
            .filter_map(|event| match &event.body {
                EventBody::ApprovalRequested { approval, .. } => Some(*approval),
                _ => None,
            })
            .collect(),
        Told::Child { told, .. } => questions(told),
        _ => Vec::new(),
    }
}

/// Whether a question was answered, here or elsewhere, or the turn that asked it is over.
fn is_decided(told: &Told, question: ApprovalId) -> bool {
    match told {
        Told::Events(events) => events.iter().any(|event| match &event.body {
            EventBody::ApprovalDecided { approval, .. } => *approval == question,
            EventBody::TurnEnded { .. } => true,
            _ => false,
        }),
        Told::Child { told, .. } => is_decided(told, question),
        Told::Over(_) => true,
        _ => false,
    }
}
