//! A session as it is seen: the persona's words as they stream in, a line for each call, a spinner, what a turn cost.
//!
//! Leaves out what is typed, and what commands show.

use std::{
    collections::{BTreeMap, HashMap},
    io::Stdout,
    path::PathBuf,
    time::{Duration, Instant},
};

use anstyle::Style;
use masque_app::Error;
use masque_types::{
    cost::{MicroUsd, Usage},
    diagnostic::{Diagnostic, Severity},
    event::{Event, EventBody, TurnFailure},
    message::{Part, ToolCall, joined_text},
    model::ModelDelta,
};

use super::drives::{self, Told};
use crate::{
    chat::{
        diff::Change,
        markdown::Markdown,
        screen::{self, Abilities, Screen, Size},
        text::{Line, Looks},
    },
    render::style::{self, BOLD, DIM, ERROR, GOOD, HINT, WARNING},
};

/// Lines of a difference that are shown below a call.
const DIFF_LINES: usize = 24;
/// Calls whose results can be shown whole.
const KEPT_CALLS: usize = 50;
const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// What was printed last: something else stands apart from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nothing,
    Words,
    Calls,
    Notes,
}

/// A call with its result.
struct Shown {
    call: ToolCall,
    result: String,
}

/// Shows a session on a terminal.
pub(crate) struct View {
    screen: Screen<Stdout>,
    workspace: PathBuf,
    last: Kind,
    markdown: Option<Markdown>,
    /// Whether the words of the model call under way were streamed.
    streamed: bool,
    /// The calls of the last answers, by id.
    calls: HashMap<String, ToolCall>,
    /// Results, the newest at the end.
    shown: Vec<Shown>,
    /// What is under way, and since when.
    doing: Option<(String, Instant)>,
    frame: usize,
    /// Files that a call under way is about to change.
    before: HashMap<String, (String, Option<String>)>,
    /// Files that were changed since the session was opened here, as they were at first.
    changed: BTreeMap<String, Option<String>>,
    /// What the last question proposed.
    proposed: Option<Change>,
    turn: Turn,
    /// The last failure of a model that was shown: the end of the turn does not repeat it.
    failed: Option<String>,
}

/// What a turn used so far.
struct Turn {
    began: Instant,
    usage: Usage,
    spent: MicroUsd,
}

impl Turn {
    fn new() -> Self {
        Self { began: Instant::now(), usage: Usage::default(), spent: MicroUsd::default() }
    }
}

impl View {
    pub(crate) fn new(abilities: Abilities, workspace: PathBuf) -> Self {
        Self {
            screen: Screen::new(std::io::stdout(), abilities),
            workspace,
            last: Kind::Nothing,
            markdown: None,
            streamed: false,
            calls: HashMap::new(),
            shown: Vec::new(),
            doing: None,
            frame: 0,
            before: HashMap::new(),
            changed: BTreeMap::new(),
            proposed: None,
            turn: Turn::new(),
            failed: None,
        }
    }

    fn size() -> Size {
        screen::size()
    }

    fn looks(&self) -> Looks {
        // Wide lines are hard to read.
        let looks = self.screen.looks(Self::size());
        Looks { width: looks.width.saturating_sub(1).clamp(8, 110), ..looks }
    }

    /// Calls change files below this directory.
    pub(crate) fn work_in(&mut self, workspace: PathBuf) {
        self.workspace = workspace;
    }

    /// The person has typed: what comes now stands below that.
    pub(crate) fn typed(&mut self) {
        self.last = Kind::Nothing;
    }

    /// An empty line before the prompt.
    pub(crate) fn space(&mut self) {
        if self.last != Kind::Nothing {
            self.screen.print(&[Line::default()], Self::size());
        }
    }

    /// What would be changed was shown in a question: it is not shown again when it is done.
    pub(crate) fn proposed(&mut self, change: Change) {
        self.proposed = Some(change);
    }

    /// Leaves the terminal to somebody who reads from it.
    pub(crate) fn hold(&mut self) {
        self.screen.hold(Self::size());
    }

    pub(crate) fn release(&mut self) {
        self.screen.release(Self::size());
    }

    /// Empties the terminal.
    pub(crate) fn clear(&mut self) {
        self.screen.clear();
        self.last = Kind::Nothing;
    }

    /// Prints what a command shows.
    pub(crate) fn lines(&mut self, lines: &[Line]) {
        self.print(Kind::Notes, lines);
    }

    /// Prints Markdown that is complete.
    pub(crate) fn markdown(&mut self, text: &str) {
        let lines = Markdown::rendered(text, self.looks());
        self.print(Kind::Words, &lines);
    }

    /// A line for people; longer ones are broken.
    pub(crate) fn note(&mut self, text: &str) {
        self.prose(text, DIM);
    }

    /// A line that must be seen.
    pub(crate) fn say(&mut self, text: &str) {
        self.prose(text, Style::new());
    }

    fn prose(&mut self, text: &str, style: Style) {
        let width = self.looks().width;
        for line in text.lines() {
            let span = [Some(crate::chat::text::Span::new(line, style))];
            let lines = crate::chat::text::wrapped(&span, width, &Line::default(), &Line::default());
            self.print(Kind::Notes, &lines);
        }
    }

    /// An error with its hints.
    pub(crate) fn error(&mut self, error: &Error) {
        let mut lines = vec![Line::styled("error", ERROR).with(&format!(": {error}"), Style::new())];
        lines
            .extend(error.hints.iter().map(|hint| Line::styled("hint", HINT).with(&format!(": {hint}"), Style::new())));
        self.print(Kind::Notes, &lines);
    }

    /// A finding about a file.
    pub(crate) fn diagnostic(&mut self, diagnostic: &Diagnostic) {
        let mark = match diagnostic.severity {
            Severity::Warning => WARNING,
            Severity::Error => ERROR,
        };
        let text = diagnostic.to_string();
        let lines: Vec<Line> = text.lines().map(|line| Line::styled(line, mark)).collect();
        self.print(Kind::Notes, &lines);
    }

    fn print(&mut self, kind: Kind, lines: &[Line]) {
        if lines.is_empty() {
            return;
        }
        if self.last != kind && self.last != Kind::Nothing {
            self.screen.print(&[Line::default()], Self::size());
        }
        self.last = kind;
        if kind == Kind::Notes {
            let columns = Self::size().columns.saturating_sub(1);
            let rows: Vec<Line> = lines.iter().flat_map(|line| line.folded(columns)).collect();
            self.screen.print(&rows, Self::size());
        } else {
            self.screen.print(lines, Self::size());
        }
    }

    /// A turn begins.
    pub(crate) fn begin_turn(&mut self, doing: &str) {
        self.turn = Turn::new();
        self.failed = None;
        self.last = Kind::Notes;
        self.do_now(doing);
    }

    /// A turn has ended: nothing is under way any more.
    pub(crate) fn end_turn(&mut self) {
        self.end_words();
        self.doing = None;
        self.before.clear();
        self.screen.clear_live(Self::size());
    }

    fn do_now(&mut self, what: &str) {
        self.doing = Some((what.to_owned(), Instant::now()));
    }

    /// Draws what moves.
    pub(crate) fn tick(&mut self) {
        self.frame = self.frame.wrapping_add(1);
        self.draw();
    }

    /// Draws what is not finished.
    pub(crate) fn draw(&mut self) {
        let looks = self.looks();
        let mut live = Vec::new();
        if let Some(markdown) = &mut self.markdown {
            markdown.set_width(looks.width);
            live.extend(markdown.preview());
        }
        if let Some((what, since)) = &self.doing {
            let frame = FRAMES.get(self.frame % FRAMES.len()).copied().unwrap_or("·");
            if !live.is_empty() || self.last != Kind::Nothing {
                live.push(Line::default());
            }
            let for_seconds = since.elapsed().as_secs();
            let time = if for_seconds == 0 { String::new() } else { format!(" · {for_seconds} s") };
            live.push(Line::styled(frame, HINT).with(&format!(" {what}{time} · Ctrl-C stops"), DIM));
        }
        self.screen.set_live(live, Self::size());
    }

    /// Shows what is told of the run in front.
    pub(crate) fn take(&mut self, told: &Told) {
        match told {
            Told::Before { call_id, path, content } => {
                self.before.insert(call_id.clone(), (path.clone(), content.clone()));
            }
            Told::Events(events) => events.iter().for_each(|event| self.event(event)),
            Told::Delta(delta) => self.delta(delta),
            Told::Diagnostic(diagnostic) => self.diagnostic(diagnostic),
            Told::Child { persona, told } => self.child(persona, told),
            Told::Over(_) => {}
        }
    }

    /// Shows what was said before, without what has passed.
    pub(crate) fn replay(&mut self, events: &[Event]) {
        for event in events {
            match &event.body {
                EventBody::RunCreated { spec } => self.words_of_person(&spec.task),
                EventBody::UserSaid { parts, .. } => self.words_of_person(parts),
                EventBody::Forked { instruction, .. } if !instruction.is_empty() => self.words_of_person(instruction),
                EventBody::InterruptRequested { partial, .. } => {
                    self.markdown(partial);
                    self.note("interrupted");
                }
                // How long a turn took cannot be told from here.
                EventBody::TurnEnded { failure, interrupted, .. } => {
                    self.turn_ended(failure.as_ref(), interrupted);
                }
                EventBody::ToolCallStarted { .. } => {}
                _ => self.event(event),
            }
        }
        self.doing = None;
        self.turn = Turn::new();
    }

    fn words_of_person(&mut self, parts: &[Part]) {
        let words = parts.first().and_then(Part::as_text).unwrap_or("(an image)");
        let columns = Self::size().columns.saturating_sub(1);
        let mut lines = Vec::new();
        for (place, line) in words.lines().enumerate() {
            let mark = if place == 0 { "❯ " } else { "  " };
            lines.extend(Line::styled(mark, HINT).with(line, BOLD).folded(columns));
        }
        if self.last != Kind::Nothing {
            self.screen.print(&[Line::default()], Self::size());
        }
        self.last = Kind::Notes;
        self.screen.print(&lines, Self::size());
    }

    fn event(&mut self, event: &Event) {
        match &event.body {
            EventBody::ModelCallStarted { .. } => {
                self.streamed = false;
                self.do_now("thinking");
            }
            EventBody::ModelCallFinished { message, receipt, .. } => {
                self.end_words();
                if !self.streamed && !message.text.is_empty() {
                    self.markdown(&message.text);
                }
                self.turn.usage += receipt.usage;
                self.turn.spent.0 += receipt.micro_usd.unwrap_or_default().0;
                self.calls.extend(message.calls.iter().map(|call| (call.id.clone(), call.clone())));
                self.doing = None;
            }
            EventBody::ToolCallStarted { call_id, .. } => {
                let what = self.named(call_id);
                self.do_now(&what.text());
            }
            EventBody::ToolCallFinished { call_id, content, is_error, duration_ms, .. } => {
                self.doing = None;
                self.finished(call_id, content, *is_error, Duration::from_millis(*duration_ms));
            }
            EventBody::ToolCallRefused { call_id, message, .. } => {
                let mut line = Line::styled("✗ ", WARNING);
                line.extend(&self.named(call_id));
                let line = line.with(" refused", WARNING).with(&format!(": {message}"), Style::new());
                self.call_line(&line);
                self.keep(call_id, message);
            }
            EventBody::ToolCallInDoubt { call_id } => {
                let mut line = Line::styled("? ", WARNING);
                line.extend(&self.named(call_id));
                self.call_line(&line.with(" in doubt: it was interrupted, nobody knows whether it happened", WARNING));
            }
            EventBody::ApprovalDecided { ruling, .. } => {
                let what = format!("  {} by {} ({})", ruling.answer.name(), ruling.by, ruling.channel.name());
                self.print(Kind::Calls, &[Line::styled(&what, DIM)]);
            }
            EventBody::Recovered { .. } => self.note("taken up after a stop in the middle"),
            EventBody::ContextCompacted { tokens_before, tokens_after, .. } => {
                let (before, after) = (style::count(*tokens_before), style::count(*tokens_after));
                self.note(&format!("context shortened from {before} to {after} tokens"));
            }
            EventBody::InterruptRequested { .. } => {
                self.end_words();
                self.note("interrupted");
            }
            EventBody::TurnEnded { failure, interrupted, .. } => {
                self.end_turn();
                self.turn_ended(failure.as_ref(), interrupted);
                self.account();
            }
            EventBody::PolicyChanged { mode: Some(mode), .. } => {
                self.note(&format!("mode {} from here on", mode.name()))
            }
            _ => {}
        }
    }

    /// What a turn left open, and why it could not go on.
    fn turn_ended(&mut self, failure: Option<&TurnFailure>, interrupted: &[String]) {
        if !interrupted.is_empty() {
            self.say(&format!("outcome unknown: {}", interrupted.join(", ")));
        }
        let Some(failure) = failure else { return };
        let why = match self.failed.take() {
            Some(known) if known == failure.message => String::new(),
            _ => format!(": {}", failure.message),
        };
        let what = format!(" ({}){why}", failure.reason.name());
        let line = Line::styled("the turn could not go on", ERROR).with(&what, Style::new());
        self.print(Kind::Notes, &[line]);
    }

    /// What the turn took.
    fn account(&mut self) {
        let tokens = style::count(self.turn.usage.total());
        let took = style::duration(self.turn.began.elapsed());
        self.note(&format!("{took} · {tokens} tokens · {}", self.turn.spent));
    }

    fn delta(&mut self, delta: &ModelDelta) {
        match delta {
            ModelDelta::Text(text) => {
                let looks = self.looks();
                self.streamed = true;
                let markdown = self.markdown.get_or_insert_with(|| Markdown::new(looks));
                markdown.set_width(looks.width);
                let finished = markdown.push(text);
                self.print(Kind::Words, &finished);
                self.doing = None;
            }
            ModelDelta::Asking(model) => self.do_now(&format!("asking {}", super::status::short(model))),
            ModelDelta::Reasoning(_) => match &self.doing {
                Some((what, _)) if what == "reasoning" => {}
                _ => self.do_now("reasoning"),
            },
            ModelDelta::Failed(attempt) => {
                // What was streamed of the failed attempt stays, but the next one begins anew.
                self.end_words();
                if let Some(failure) = &attempt.failure {
                    let what = format!("{}: {}", failure.kind.name(), failure.message);
                    let line = Line::styled(&super::status::short(&attempt.model), WARNING);
                    self.print(Kind::Notes, &[line.with(&format!(": {what}"), Style::new())]);
                    self.failed = Some(what);
                }
            }
        }
    }

    fn end_words(&mut self) {
        if let Some(mut markdown) = self.markdown.take() {
            let lines = markdown.finish();
            self.print(Kind::Words, &lines);
        }
    }

    /// One folded line for each end of a call of a called run.
    fn child(&mut self, persona: &str, told: &Told) {
        match told {
            Told::Events(events) => {
                for event in events {
                    self.child_event(persona, event);
                }
            }
            Told::Diagnostic(diagnostic) => self.diagnostic(diagnostic),
            Told::Child { persona, told } => self.child(persona, told),
            Told::Before { .. } | Told::Delta(_) | Told::Over(_) => {}
        }
    }

    fn child_event(&mut self, persona: &str, event: &Event) {
        match &event.body {
            EventBody::ModelCallStarted { step, .. } => self.do_now(&format!("{persona}: model call {step}")),
            EventBody::ModelCallFinished { message, receipt, .. } => {
                self.turn.usage += receipt.usage;
                self.turn.spent.0 += receipt.micro_usd.unwrap_or_default().0;
                self.calls.extend(message.calls.iter().map(|call| (call.id.clone(), call.clone())));
            }
            EventBody::ToolCallStarted { call_id, .. } => {
                let what = self.named(call_id).text();
                self.do_now(&format!("{persona}: {what}"));
            }
            EventBody::ToolCallFinished { call_id, content, is_error, duration_ms, .. } => {
                let line = self.result_line(call_id, content, *is_error, Duration::from_millis(*duration_ms));
                let mut whole = Line::styled(&format!("{persona} "), DIM);
                whole.extend(&line);
                self.call_line(&whole);
                self.keep(call_id, &joined_text(content));
            }
            EventBody::ToolCallRefused { call_id, message, .. } => {
                let mut line = Line::styled(&format!("{persona} "), DIM).with("✗ ", WARNING);
                line.extend(&self.named(call_id));
                self.call_line(&line.with(" refused", WARNING).with(&format!(": {message}"), Style::new()));
            }
            EventBody::ApprovalDecided { .. } => self.event(event),
            _ => {}
        }
    }

    fn finished(&mut self, call_id: &str, content: &[Part], is_error: bool, took: Duration) {
        let line = self.result_line(call_id, content, is_error, took);
        self.call_line(&line);
        if let Some((path, before)) = self.before.remove(call_id) {
            let after = drives::content(&self.workspace, &path);
            let change = Change { path: path.clone(), before, after };
            if !change.is_none() {
                let is_known = self.proposed.take().is_some_and(|proposed| proposed == change);
                self.print(Kind::Calls, &change.lines(if is_known { 0 } else { DIFF_LINES }));
                self.changed.entry(path).or_insert(change.before);
            }
        }
        self.keep(call_id, &joined_text(content));
    }

    fn result_line(&self, call_id: &str, content: &[Part], is_error: bool, took: Duration) -> Line {
        let text = joined_text(content);
        let (mark, what) = if is_error {
            (Line::styled("✗ ", ERROR), style::shortened(&text, 100))
        } else {
            let what = match text.lines().count() {
                0 | 1 => style::shortened(&text, 60),
                lines => format!("{lines} lines"),
            };
            (Line::styled("✓ ", GOOD), what)
        };
        let mut line = mark;
        line.extend(&self.named(call_id));
        line.with(&format!(" · {what} · {}", style::duration(took)), DIM)
    }

    /// A call on one line, so that it never moves what is around it.
    fn call_line(&mut self, line: &Line) {
        let clipped = line.clipped(Self::size().columns.saturating_sub(1));
        self.print(Kind::Calls, &[clipped]);
    }

    fn named(&self, call_id: &str) -> Line {
        match self.calls.get(call_id) {
            Some(call) => {
                let room = Self::size().columns.saturating_sub(30).max(16);
                Line::styled(&call.tool, BOLD)
                    .with(&format!(" {}", style::arguments(&call.arguments, room)), Style::new())
            }
            None => Line::styled(call_id, BOLD),
        }
    }

    fn keep(&mut self, call_id: &str, result: &str) {
        if let Some(call) = self.calls.get(call_id) {
            self.shown.push(Shown { call: call.clone(), result: result.to_owned() });
            if self.shown.len() > KEPT_CALLS {
                self.shown.remove(0);
            }
        }
    }

    /// Shows a call whole: the last one, or so many before it.
    pub(crate) fn expand(&mut self, back: usize) -> bool {
        let Some(place) = self.shown.len().checked_sub(back + 1) else { return false };
        let Some(Shown { call, result }) = self.shown.get(place) else { return false };
        let mut lines = vec![Line::styled(&call.tool, BOLD)];
        let arguments = serde_json::to_string_pretty(&call.arguments).unwrap_or_default();
        lines.extend(arguments.lines().map(|line| Line::plain(&format!("  {line}"))));
        lines.push(Line::styled("result", BOLD));
        lines.extend(result.lines().map(|line| Line::plain(&format!("  {line}"))));
        self.print(Kind::Notes, &lines);
        true
    }

    /// Everything that calls changed since the session was opened here.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let change = |(path, before): (&String, &Option<String>)| Change {
            path: path.clone(),
            before: before.clone(),
            after: drives::content(&self.workspace, path),
        };
        self.changed.iter().map(change).filter(|change| !change.is_none()).collect()
    }
}
