//! A journal as a timeline: one line per event, with its time since the first one.

use std::{collections::HashMap, io::Write as _};

use masque_types::{
    child::{ChildMode, ChildStop},
    event::{Event, EventBody},
    message::{Part, joined_text},
    policy::Rule,
    time::Timestamp,
};

use super::style::{self, BOLD, DIM, ERROR, GOOD, HINT, WARNING};

/// Bytes of a text that a line shows.
const SHOWN: usize = 100;

/// Prints events; remembers what later lines refer to.
pub(crate) struct Timeline {
    full: bool,
    start: Option<Timestamp>,
    tools: HashMap<String, String>,
}

impl Timeline {
    /// A timeline that shows texts whole, or their beginnings.
    pub(crate) fn new(full: bool) -> Self {
        Self { full, start: None, tools: HashMap::new() }
    }

    /// Prints one event on standard output.
    pub(crate) fn print(&mut self, event: &Event) {
        let start = *self.start.get_or_insert(event.at);
        let offset = event.at.since(start);
        for call in event.body.calls() {
            self.tools.insert(call.id.clone(), call.tool.clone());
        }
        let at = format!("{:>4} {:>6}.{:03}", event.seq, offset.as_secs(), offset.subsec_millis());
        let mut out = anstream::stdout();
        for (place, line) in self.describe(&event.body).into_iter().enumerate() {
            let line = line.replace('\n', &format!("\n{:17}", ""));
            let _ = match place {
                0 => writeln!(out, "{DIM}{at}{DIM:#}  {line}"),
                _ => writeln!(out, "{:15}  {line}", ""),
            };
        }
    }

    fn describe(&self, body: &EventBody) -> Vec<String> {
        match body {
            EventBody::RunCreated { spec } => vec![
                format!("{BOLD}created{BOLD:#} by {}, sandbox {}", spec.started_by, spec.sandbox.name()),
                format!("task: {}", self.text(&joined_text(&spec.task))),
            ],
            EventBody::PersonaPinned { persona } => {
                vec![format!("persona {} ({}, {})", persona.name, persona.source, persona.digest.short())]
            }
            EventBody::ToolsPinned { tools } => {
                let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
                vec![format!("tools {}", names.join(" "))]
            }
            EventBody::Forked { parent, parent_seq, .. } => vec![format!("forked from {parent} at {parent_seq}")],
            EventBody::Recovered { .. } => vec![format!("{WARNING}recovered{WARNING:#} after a stop in the middle")],
            EventBody::ContextCompacted { tokens_before, tokens_after, .. } => {
                vec![format!("context shortened from {tokens_before} to {tokens_after} tokens")]
            }
            EventBody::OutputRejected { errors } => {
                vec![format!("{WARNING}output rejected{WARNING:#}: {}", errors.join("; "))]
            }
            EventBody::ChildStarted { child, persona, mode, .. } => {
                let how = match mode {
                    ChildMode::Blocking => "calls",
                    ChildMode::Async => "calls, without waiting,",
                    ChildMode::Handoff => "hands over to",
                };
                vec![format!("{how} {BOLD}{persona}{BOLD:#} {DIM}{child}{DIM:#}")]
            }
            EventBody::ChildCancelled { child, reason: ChildStop::Timeout } => {
                vec![format!("{WARNING}gives up{WARNING:#} {child}: its time is over")]
            }
            EventBody::ChildCancelled { child, .. } => vec![format!("{WARNING}stops{WARNING:#} {child}")],
            EventBody::ChildEnded { child, status, spend, .. } => {
                let mark = style::of_status(*status);
                vec![format!("{child} {mark}{}{mark:#}: {}", status.name(), style::spend(spend))]
            }
            EventBody::TurnEnded { failure: None, .. } => vec![format!("{GOOD}turn ended{GOOD:#}")],
            EventBody::TurnEnded { failure: Some(failure), .. } => {
                vec![format!("{ERROR}turn failed{ERROR:#} ({}): {}", failure.reason.name(), failure.message)]
            }
            EventBody::UserSaid { parts, by, .. } => {
                vec![format!("{BOLD}{by}{BOLD:#}: {}", self.text(&joined_text(parts)))]
            }
            EventBody::InterruptRequested { by, .. } => vec![format!("{WARNING}interrupt{WARNING:#} asked by {by}")],
            EventBody::FinishRequested { by } => vec![format!("end of the conversation asked by {by}")],
            EventBody::PolicyChanged { mode, narrow, by } => {
                let mode = mode.iter().map(|mode| format!("mode {}", mode.name()));
                let changes: Vec<String> = mode.chain(narrow.iter().map(Rule::describe)).collect();
                vec![format!("policy changed by {by}: {}", changes.join(", "))]
            }
            EventBody::CancelRequested { by } => vec![format!("{WARNING}cancel{WARNING:#} asked by {by}")],
            EventBody::ApprovalRequested { approval, call_id, question, .. } => {
                let asked = format!("{WARNING}asks{WARNING:#} {} for {}", question.kind(), self.tool(call_id));
                vec![format!("{asked} {DIM}{approval}{DIM:#}")]
            }
            EventBody::ApprovalDecided { ruling, .. } => {
                vec![format!("{} by {} ({})", ruling.answer.name(), ruling.by, ruling.channel.name())]
            }
            body => self.describe_call(body),
        }
    }

    fn describe_call(&self, body: &EventBody) -> Vec<String> {
        match body {
            EventBody::ModelCallStarted { step, messages, reserved_tokens, .. } => {
                let reserved = style::count(*reserved_tokens);
                let messages = style::counted(u64::from(*messages), "message", "messages");
                vec![format!("{HINT}model{HINT:#} call {step}: {messages}, {reserved} tokens reserved")]
            }
            EventBody::ModelCallFinished { message, receipt, .. } => {
                let model = receipt.served.as_ref().map_or_else(|| "model".to_owned(), ToString::to_string);
                let cost = receipt.micro_usd.map(|cost| format!(", {cost}")).unwrap_or_default();
                let tokens = style::count(receipt.usage.total());
                let time = style::duration(receipt.latency);
                let mut lines = vec![format!("{HINT}{model}{HINT:#} answered: {tokens} tokens{cost}, {time}")];
                lines.extend((!message.text.is_empty()).then(|| self.text(&message.text)));
                let call = |call: &masque_types::message::ToolCall| {
                    let arguments =
                        if self.full { call.arguments.to_string() } else { style::arguments(&call.arguments, SHOWN) };
                    format!("calls {BOLD}{}{BOLD:#} {arguments}", call.tool)
                };
                lines.extend(message.calls.iter().map(call));
                lines
            }
            EventBody::ModelCallFailed { failure, receipt, .. } => {
                let tries = style::counted(receipt.attempts.len() as u64, "try", "tries");
                let kind = failure.kind.name();
                vec![format!("{ERROR}model call failed{ERROR:#} after {tries}: {kind}: {}", failure.message)]
            }
            EventBody::ModelCallLost { .. } => {
                vec![format!("{WARNING}model call lost{WARNING:#}; what was reserved for it stays counted")]
            }
            EventBody::ToolCallStarted { call_id, effect, attempt } => {
                let again = if *attempt > 1 { format!(", try {attempt}") } else { String::new() };
                vec![format!("{} begins ({}{again})", self.tool(call_id), effect.name())]
            }
            EventBody::ToolCallFinished { call_id, content, is_error, duration_ms, whole } => {
                let mark = if *is_error { format!("{ERROR}failed{ERROR:#}") } else { format!("{GOOD}done{GOOD:#}") };
                let time = style::duration(std::time::Duration::from_millis(*duration_ms));
                let size = whole.map(|whole| format!(", {} bytes stored", whole.bytes)).unwrap_or_default();
                let tool = self.tool(call_id);
                vec![format!("{tool} {mark}, {time}{size}"), format!("{DIM}{}{DIM:#}", self.parts(content))]
            }
            EventBody::ToolCallRefused { call_id, message, .. } => {
                vec![format!("{} {WARNING}refused{WARNING:#}: {}", self.tool(call_id), self.text(message))]
            }
            EventBody::ToolCallInDoubt { call_id } => {
                vec![format!("{} {WARNING}in doubt{WARNING:#}: interrupted, nobody knows", self.tool(call_id))]
            }
            body => self.describe_end(body),
        }
    }

    fn describe_end(&self, body: &EventBody) -> Vec<String> {
        match body {
            EventBody::RunCompleted { spend, .. } => {
                vec![format!("{GOOD}completed{GOOD:#}: {}", style::spend(spend))]
            }
            EventBody::RunFailed { reason, message, .. } => {
                vec![format!("{ERROR}failed{ERROR:#} ({}): {message}", reason.name())]
            }
            EventBody::RunCancelled { interrupted, .. } if interrupted.is_empty() => {
                vec![format!("{WARNING}cancelled{WARNING:#}")]
            }
            EventBody::RunCancelled { interrupted, .. } => {
                vec![format!("{WARNING}cancelled{WARNING:#}; outcome unknown: {}", interrupted.join(", "))]
            }
            _ => Vec::new(),
        }
    }

    fn tool(&self, call_id: &str) -> String {
        format!("{BOLD}{}{BOLD:#}", self.tools.get(call_id).map_or(call_id, String::as_str))
    }

    fn text(&self, text: &str) -> String {
        if self.full { style::harmless(text) } else { style::shortened(text, SHOWN) }
    }

    fn parts(&self, parts: &[Part]) -> String {
        let images = parts.iter().filter(|part| part.as_text().is_none()).count();
        let text = self.text(&joined_text(parts));
        if images == 0 { text } else { format!("{text} [{images} images]") }
    }
}
