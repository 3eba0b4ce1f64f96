//! A run while it is driven here: streaming text, a line per tool call, a spinner with the cost.
//!
//! On a terminal the answer streams to standard output; when that is piped, it gets the final answer only. Progress
//! goes to standard error, with a spinner on a terminal and as plain lines elsewhere.

use std::{
    collections::HashMap,
    io::{IsTerminal as _, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use masque_app::runs::{Outcome, Progress};
use masque_types::{
    approval::{Approval, Question},
    cost::MicroUsd,
    event::{Event, EventBody},
    id::RunId,
    message::{Part, joined_text},
    model::ModelDelta,
    run::{RunStatus, RunSummary, SandboxMode},
    time::Timestamp,
};
use serde_json::json;

use super::style::{self, BOLD, DIM, ERROR, GOOD, WARNING};
use crate::{chat::screen, cli::drive::Output, render};

/// Shows one run.
pub(crate) struct Live {
    output: Output,
    run: RunId,
    /// Whether the model's text streams to standard output.
    streams: bool,
    /// Whether a spinner may be drawn.
    spins: bool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Drawn while something is under way; streamed text and a drawn spinner never share a line.
    spinner: Option<ProgressBar>,
    calls: HashMap<String, (String, String)>,
    /// Whether the cursor stands behind streamed text.
    mid_line: bool,
    streamed: bool,
    /// The last failure of a model that was shown: the end of the run does not repeat it.
    failed: Option<String>,
    /// What the finished model calls cost.
    spent: MicroUsd,
    /// The called runs that are shown, and since when.
    children: HashMap<RunId, (String, Timestamp)>,
}

impl Live {
    pub(crate) fn new(output: Output, summary: &RunSummary, before: &[Event]) -> Self {
        let live = Self {
            output,
            run: summary.id,
            streams: output == Output::Text && std::io::stdout().is_terminal(),
            spins: output == Output::Text && std::io::stderr().is_terminal(),
            inner: Mutex::new(Inner::default()),
        };
        before.iter().for_each(|event| live.remember(event));
        match output {
            Output::Text => live.head(summary),
            // A run that nobody drove yet is shown from its first event on.
            Output::StreamJson if before.iter().all(|event| event.epoch == 0) => {
                before.iter().for_each(|event| render::event_json(summary.id, event));
            }
            Output::Json | Output::StreamJson => {}
        }
        live
    }

    fn head(&self, summary: &RunSummary) {
        let sandbox = match summary.sandbox {
            SandboxMode::Process => String::new(),
            SandboxMode::Container => " in a container".to_owned(),
            SandboxMode::None => format!(" {WARNING}without sandbox{WARNING:#}"),
        };
        self.progress(&format!("{BOLD}{}{BOLD:#} {DIM}{}{DIM:#}{sandbox}", summary.persona, summary.id));
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows what happened.
    pub(crate) fn show(&self, progress: &Progress<'_>) {
        match (self.output, progress) {
            (Output::Text, Progress::Committed(events)) => events.iter().for_each(|event| self.event(event)),
            (Output::Text, Progress::Delta(delta)) => self.delta(delta),
            (Output::Text, Progress::Child { persona, progress, .. }) => self.child(persona, progress),
            (Output::StreamJson, Progress::Child { run, progress, .. }) => stream_child(*run, progress),
            (Output::Json, Progress::Child { progress, .. }) => warn_of(progress),
            (Output::Text | Output::Json, Progress::Diagnostic(diagnostic)) => render::warning(diagnostic),
            (Output::StreamJson, Progress::Committed(events)) => {
                events.iter().for_each(|event| render::event_json(self.run, event));
            }
            (Output::StreamJson, Progress::Delta(ModelDelta::Text(text))) => {
                render::json(&json!({ "v": 1, "run": self.run, "type": "text_delta", "text": text }));
            }
            (Output::StreamJson, Progress::Diagnostic(diagnostic)) => {
                render::json(&json!({ "v": 1, "run": self.run, "type": "diagnostic", "diagnostic": diagnostic }));
            }
            (Output::Json, Progress::Committed(_)) | (Output::Json | Output::StreamJson, Progress::Delta(_)) => {}
        }
    }

    fn event(&self, event: &Event) {
        match &event.body {
            EventBody::ModelCallStarted { step, .. } => self.spin(&format!("model call {step}")),
            EventBody::ChildStarted { .. } | EventBody::ChildEnded { .. } => self.call_event(event),
            EventBody::ModelCallFinished { message, receipt, .. } => {
                if !self.streams && !message.calls.is_empty() && !message.text.is_empty() {
                    self.progress(&format!("{DIM}{}{DIM:#}", style::harmless(message.text.trim_end())));
                }
                self.end_line();
                self.inner().spent.0 += receipt.micro_usd.unwrap_or_default().0;
                self.remember(event);
            }
            EventBody::ToolCallStarted { call_id, .. } => self.spin(&self.plain_call(call_id)),
            EventBody::ToolCallFinished { call_id, content, is_error, duration_ms, .. } => {
                self.tool_line(call_id, content, *is_error, Duration::from_millis(*duration_ms));
            }
            EventBody::ToolCallRefused { call_id, message, .. } => {
                let why = style::shortened(message, 100);
                self.progress(&format!(
                    "{WARNING}✗{WARNING:#} {} {WARNING}refused{WARNING:#}: {why}",
                    self.call(call_id)
                ));
            }
            EventBody::ToolCallInDoubt { call_id } => {
                self.progress(&format!("{WARNING}?{WARNING:#} {} {WARNING}in doubt{WARNING:#}", self.call(call_id)));
            }
            EventBody::ApprovalDecided { ruling, .. } => {
                self.progress(&format!("  {} by {} ({})", ruling.answer.name(), ruling.by, ruling.channel.name()));
            }
            EventBody::Recovered { .. } => self.note("taken up after a stop in the middle"),
            EventBody::ContextCompacted { tokens_before, tokens_after, .. } => {
                self.note(&format!("context shortened from {tokens_before} to {tokens_after} tokens"));
            }
            EventBody::OutputRejected { errors } => {
                self.note(&format!("the answer misses its schema, one repair: {}", errors.join("; ")));
            }
            _ => {}
        }
    }

    /// A called run is folded to its beginning and its end, which are events of its caller.
    fn child(&self, persona: &str, progress: &Progress<'_>) {
        match progress {
            Progress::Committed(events) => events.iter().for_each(|event| match &event.body {
                EventBody::ModelCallStarted { step, .. } => self.spin(&format!("{persona}: model call {step}")),
                _ => self.call_event(event),
            }),
            Progress::Diagnostic(diagnostic) => render::warning(diagnostic),
            Progress::Child { persona, progress, .. } => self.child(persona, progress),
            Progress::Delta(_) => {}
        }
    }

    fn call_event(&self, event: &Event) {
        match &event.body {
            EventBody::ChildStarted { child, persona, .. } => {
                self.progress(&format!("{DIM}↳{DIM:#} {BOLD}{persona}{BOLD:#} {DIM}{child}{DIM:#}"));
                self.inner().children.insert(*child, (persona.clone(), event.at));
                self.spin(&format!("{persona} works"));
            }
            EventBody::ChildEnded { child, status, spend, .. } => {
                let (persona, took) = match self.inner().children.remove(child) {
                    Some((persona, began)) => (persona, format!(", {}", style::duration(event.at.since(began)))),
                    None => (child.to_string(), String::new()),
                };
                let (mark, sign) = match status {
                    RunStatus::Completed => (GOOD, "✓"),
                    RunStatus::Cancelled => (WARNING, "✗"),
                    _ => (ERROR, "✗"),
                };
                let spend = style::spend(spend);
                let name = status.name();
                self.progress(&format!(
                    "{mark}{sign}{mark:#} {BOLD}{persona}{BOLD:#} {name} {DIM}{spend}{took}{DIM:#}"
                ));
            }
            _ => {}
        }
    }

    /// Keeps the calls of an event, which later events name by their ids.
    fn remember(&self, event: &Event) {
        let mut inner = self.inner();
        for call in event.body.calls() {
            let shown = style::arguments(&call.arguments, 80);
            inner.calls.insert(call.id.clone(), (call.tool.clone(), shown));
        }
    }

    fn tool_line(&self, call_id: &str, content: &[Part], is_error: bool, took: Duration) {
        let text = joined_text(content);
        let (mark, what) = if is_error {
            (format!("{ERROR}✗{ERROR:#}"), style::shortened(&text, 100))
        } else {
            let what = match text.lines().count() {
                0 | 1 => style::shortened(&text, 80),
                lines => format!("{lines} lines"),
            };
            (format!("{GOOD}✓{GOOD:#}"), what)
        };
        self.progress(&format!("{mark} {} {DIM}· {what} · {}{DIM:#}", self.call(call_id), style::duration(took)));
    }

    fn call(&self, call_id: &str) -> String {
        let inner = self.inner();
        inner
            .calls
            .get(call_id)
            .map_or_else(|| call_id.to_owned(), |(tool, arguments)| format!("{BOLD}{tool}{BOLD:#} {arguments}"))
    }

    /// Without the marks of a style, which a shortened text would break.
    fn plain_call(&self, call_id: &str) -> String {
        let inner = self.inner();
        let known = inner.calls.get(call_id);
        known.map_or_else(|| call_id.to_owned(), |(tool, arguments)| format!("{tool} {arguments}"))
    }

    fn delta(&self, delta: &ModelDelta) {
        match delta {
            ModelDelta::Text(text) if self.streams => {
                self.stop_spinner();
                let mut out = anstream::stdout();
                let _ = write!(out, "{}", style::harmless(text));
                let _ = out.flush();
                let mut inner = self.inner();
                inner.mid_line = !text.ends_with('\n');
                inner.streamed = true;
            }
            ModelDelta::Asking(model) => self.spin(&format!("asking {model}")),
            ModelDelta::Failed(attempt) => {
                if let Some(failure) = &attempt.failure {
                    let what = format!("{}: {}", failure.kind.name(), failure.message);
                    self.progress(&format!("{WARNING}{}{WARNING:#} {what}", attempt.model));
                    self.inner().failed = Some(what);
                }
            }
            ModelDelta::Text(_) | ModelDelta::Reasoning(_) => {}
        }
    }

    fn spin(&self, what: &str) {
        if !self.spins {
            return;
        }
        self.end_line();
        let mut inner = self.inner();
        let spent = inner.spent;
        let spinner = inner.spinner.get_or_insert_with(new_spinner);
        spinner.set_message(format!("{} · {spent}", style::shortened(what, 80)));
    }

    fn stop_spinner(&self) {
        let spinner = self.inner().spinner.take();
        if let Some(spinner) = spinner {
            spinner.finish_and_clear();
        }
    }

    fn end_line(&self) {
        if std::mem::take(&mut self.inner().mid_line) {
            render::line("");
        }
    }

    fn progress(&self, text: &str) {
        self.end_line();
        let text = match std::io::stderr().is_terminal() {
            true => style::folded(text, screen::size().columns),
            false => text.to_owned(),
        };
        let write = || {
            let _ = writeln!(anstream::stderr(), "{text}");
        };
        let spinner = self.inner().spinner.clone();
        match spinner {
            Some(spinner) => spinner.suspend(write),
            None => write(),
        }
    }

    /// A line for people.
    pub(crate) fn note(&self, text: &str) {
        self.progress(&format!("{DIM}{text}{DIM:#}"));
    }

    /// The run that is shown.
    pub(crate) const fn run(&self) -> RunId {
        self.run
    }

    /// Names a called persona before its question.
    pub(crate) fn asked_by(&self, persona: &str) {
        self.progress(&format!("{BOLD}{persona}{BOLD:#} {DIM}asks you{DIM:#}"));
    }

    /// Clears the line for a question.
    pub(crate) fn make_room(&self) {
        self.end_line();
        self.stop_spinner();
    }

    /// Shows how the run ended.
    pub(crate) fn ended(&self, summary: &RunSummary, outcome: &Outcome) {
        self.make_room();
        match self.output {
            Output::Json => render::json(&result(summary, outcome)),
            Output::StreamJson => {}
            Output::Text => self.ended_text(summary, outcome),
        }
    }

    fn ended_text(&self, summary: &RunSummary, outcome: &Outcome) {
        let text = match outcome {
            Outcome::Completed { text, .. } => text,
            Outcome::Failed { partial, .. } | Outcome::Cancelled { partial, .. } => partial,
        };
        let streamed = self.streams && self.inner().streamed;
        if !streamed && !text.is_empty() {
            render::line(&style::harmless(text.trim_end()));
        }
        if let Outcome::Failed { reason, message, .. } = outcome {
            let known = self.inner().failed.take();
            let why = if known.as_ref() == Some(message) { String::new() } else { format!(": {message}") };
            self.progress(&format!("{ERROR}failed{ERROR:#} ({}){why}", reason.name()));
        }
        if let Outcome::Cancelled { interrupted, .. } = outcome
            && !interrupted.is_empty()
        {
            self.progress(&format!("{WARNING}outcome unknown{WARNING:#}: {}", interrupted.join(", ")));
        }
        let mark = style::of_status(summary.status);
        let took = style::duration(summary.updated_at.since(summary.created_at));
        let name = summary.status.name();
        self.progress(&format!("{mark}{name}{mark:#} {DIM}{}, {took}{DIM:#}", style::spend(&summary.spend)));
    }

    /// Shows the answer of a turn, after which a conversation waits for the person.
    pub(crate) fn turn_over(&self, text: &str) {
        self.make_room();
        let streamed = self.streams && self.inner().streamed;
        match self.output {
            Output::Json => render::json(&json!({ "v": 1, "run": self.run, "type": "turn_ended", "text": text })),
            Output::Text if !streamed && !text.is_empty() => render::line(&style::harmless(text.trim_end())),
            Output::Text | Output::StreamJson => {}
        }
    }

    /// Shows what the run waits for.
    pub(crate) fn waiting(&self, summary: &RunSummary, open: &[Approval]) {
        self.make_room();
        match self.output {
            Output::Json | Output::StreamJson => {
                let value = json!({
                    "v": 1, "run": summary.id, "type": "waiting", "status": summary.status, "approvals": open,
                });
                render::json(&value);
            }
            Output::Text => {
                self.progress(&format!("{WARNING}waiting{WARNING:#} for a human:"));
                for approval in open {
                    render::question(approval);
                    for way in ways(&approval.question) {
                        self.note(&format!("  masque approvals {}", way.replace("ID", &approval.id.to_string())));
                    }
                }
                self.note(&format!("then go on: masque runs resume {}", summary.id));
            }
        }
    }
}

/// What happens in a called run, with that run's id.
fn stream_child(run: RunId, progress: &Progress<'_>) {
    match progress {
        Progress::Committed(events) => events.iter().for_each(|event| render::event_json(run, event)),
        Progress::Child { run, progress, .. } => stream_child(*run, progress),
        Progress::Diagnostic(diagnostic) => {
            render::json(&json!({ "v": 1, "run": run, "type": "diagnostic", "diagnostic": diagnostic }));
        }
        Progress::Delta(_) => {}
    }
}

fn warn_of(progress: &Progress<'_>) {
    match progress {
        Progress::Diagnostic(diagnostic) => render::warning(diagnostic),
        Progress::Child { progress, .. } => warn_of(progress),
        Progress::Committed(_) | Progress::Delta(_) => {}
    }
}

/// The commands that answer a question.
const fn ways(question: &Question) -> &'static [&'static str] {
    match question {
        Question::ToolCall { .. } => &["approve ID", "deny ID"],
        Question::InDoubt { .. } => &["approve ID --happened", "approve ID --retry", "deny ID"],
        Question::Input { .. } => &["approve ID --reply TEXT", "deny ID"],
    }
}

fn new_spinner() -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// The result of `--output json`.
fn result(summary: &RunSummary, outcome: &Outcome) -> serde_json::Value {
    let (text, output, error) = match outcome {
        Outcome::Completed { text, output } => (text, output.as_ref(), None),
        Outcome::Failed { reason, message, partial } => {
            (partial, None, Some(json!({ "reason": reason, "message": message })))
        }
        Outcome::Cancelled { partial, .. } => (partial, None, None),
    };
    json!({
        "v": 1, "run": summary.id, "persona": summary.persona, "status": summary.status, "text": text,
        "output": output, "error": error, "spend": summary.spend, "sandbox": summary.sandbox,
        "duration_ms": u64::try_from(summary.updated_at.since(summary.created_at).as_millis()).unwrap_or(u64::MAX),
    })
}
