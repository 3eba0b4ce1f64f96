//! What a job's journal tells about how far it is: a fold of its events, without clock and store.
//!
//! Percent never falls, whatever happens, and is 100 only for a job that completed. Leaves out the time that is left, which
//! needs a clock and past runs.

use std::collections::{BTreeMap, BTreeSet};

use masque_types::{
    event::{Event, EventBody},
    id::{ApprovalId, Seq},
    job::Phase,
    message::AssistantMessage,
    tool::EffectClass,
};
use serde_json::Value;

/// Shown once the environment stands.
const BEGUN: u8 = 5;
/// Shown at most while there is no answer.
const MOST_UNDER_WAY: u8 = 90;
/// After so many model and tool calls half of the way is shown.
const HALF_WAY: u32 = 5;

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum End {
    /// With a result.
    Completed { text: String, output: Option<Value> },
    /// Without.
    Failed { message: String, partial: String },
    /// Stopped.
    Cancelled { partial: String },
}

/// What a journal has told so far.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Story {
    /// The last event.
    pub(super) seq: Seq,
    /// What the job does now.
    pub(super) phase: Phase,
    /// How far it is.
    pub(super) percent: u8,
    /// For people.
    pub(super) message: String,
    /// Tool calls that ended.
    pub(super) tool_calls: u32,
    /// Questions without an answer.
    pub(super) questions: BTreeSet<ApprovalId>,
    /// How it ended.
    pub(super) end: Option<End>,
    /// The last text of the model.
    pub(super) text: String,
    model_calls: u32,
    /// The tools of calls that have not ended, by call.
    calls: BTreeMap<String, String>,
    /// Tools that only look.
    looking: BTreeSet<String>,
    /// Called personas, by call.
    children: BTreeMap<String, String>,
}

impl Default for Story {
    fn default() -> Self {
        Self {
            seq: 0,
            phase: Phase::Initializing,
            percent: 0,
            message: "Waiting for a worker".to_owned(),
            tool_calls: 0,
            questions: BTreeSet::new(),
            end: None,
            text: String::new(),
            model_calls: 0,
            calls: BTreeMap::new(),
            looking: BTreeSet::new(),
            children: BTreeMap::new(),
        }
    }
}

impl Story {
    /// Takes the events that follow.
    pub(super) fn take(&mut self, events: &[Event]) {
        for event in events {
            if event.seq > self.seq {
                self.seq = event.seq;
                self.take_one(&event.body);
            }
        }
    }

    fn take_one(&mut self, body: &EventBody) {
        match body {
            EventBody::ToolsPinned { tools } => {
                let looks = tools.iter().filter(|tool| tool.effect == EffectClass::Pure);
                self.looking = looks.map(|tool| tool.name.clone()).collect();
                self.goes_on(Phase::Initializing, "The environment is set up");
                self.reach(BEGUN);
            }
            EventBody::ModelCallStarted { step, .. } => {
                let phase = if self.tool_calls == 0 { Phase::Analyzing } else { self.phase.max(Phase::Analyzing) };
                self.goes_on(phase.min(Phase::Generating), format!("Thinking: model call {step}"));
            }
            EventBody::ModelCallFinished { message, .. } => {
                self.model_calls += 1;
                self.answered(message);
            }
            EventBody::ToolCallStarted { call_id, .. } => self.uses(call_id),
            EventBody::ToolCallFinished { call_id, .. } | EventBody::ToolCallRefused { call_id, .. } => {
                self.ended(call_id);
            }
            EventBody::ApprovalRequested { approval, .. } => {
                self.questions.insert(*approval);
                self.goes_on(Phase::Waiting, "Waiting for a person to answer");
            }
            EventBody::ApprovalDecided { approval, .. } => {
                self.questions.remove(approval);
                if self.questions.is_empty() {
                    self.goes_on(Phase::Analyzing, "Going on after an answer");
                }
            }
            EventBody::ChildStarted { call_id, persona, .. } => {
                self.children.insert(call_id.clone(), persona.clone());
                self.goes_on(Phase::Analyzing, format!("Asking {persona}"));
            }
            EventBody::OutputRejected { .. } => self.goes_on(Phase::Generating, "Repairing the answer"),
            EventBody::Recovered { .. } => self.goes_on(self.phase, "Taken up after a stop"),
            EventBody::CancelRequested { .. } => self.goes_on(self.phase, "Stopping"),
            EventBody::RunCompleted { text, output, .. } => {
                let end = End::Completed { text: text.clone(), output: output.clone() };
                self.ends(end, Phase::Generating, "Complete");
                self.percent = 100;
            }
            EventBody::RunFailed { message, partial, .. } => {
                let end = End::Failed { message: message.clone(), partial: partial.clone() };
                self.ends(end, self.phase, message);
            }
            EventBody::RunCancelled { partial, .. } => {
                self.ends(End::Cancelled { partial: partial.clone() }, self.phase, "Cancelled");
            }
            _ => {}
        }
    }

    fn goes_on(&mut self, phase: Phase, message: impl Into<String>) {
        self.phase = phase;
        self.message = message.into();
    }

    /// Shows more, never less.
    fn reach(&mut self, percent: u8) {
        self.percent = self.percent.max(percent);
    }

    /// Each call brings it nearer to the end, of which nothing is known: half of the way that is left each time.
    fn advance(&mut self) {
        let calls = self.model_calls.saturating_add(self.tool_calls);
        let way = u32::from(MOST_UNDER_WAY - BEGUN);
        let done = way.saturating_mul(calls) / calls.saturating_add(HALF_WAY);
        self.reach(BEGUN + u8::try_from(done).unwrap_or(0).min(MOST_UNDER_WAY - BEGUN));
    }

    fn answered(&mut self, message: &AssistantMessage) {
        if !message.text.is_empty() {
            self.text.clone_from(&message.text);
        }
        self.calls = message.calls.iter().map(|call| (call.id.clone(), call.tool.clone())).collect();
        self.advance();
        if message.calls.is_empty() {
            self.goes_on(Phase::Generating, "Writing the answer");
            self.reach(MOST_UNDER_WAY);
        }
    }

    fn uses(&mut self, call: &str) {
        let Some(tool) = self.calls.get(call).cloned() else { return };
        let phase = if self.looking.contains(&tool) { Phase::Searching } else { Phase::Analyzing };
        self.goes_on(phase, format!("Using {tool}"));
    }

    fn ended(&mut self, call: &str) {
        self.children.remove(call);
        self.tool_calls = self.tool_calls.saturating_add(1);
        self.advance();
        if let Some(tool) = self.calls.remove(call) {
            self.message = format!("Used {tool}");
        }
    }

    fn ends(&mut self, end: End, phase: Phase, message: &str) {
        self.end = Some(end);
        self.questions.clear();
        self.goes_on(phase, message);
    }
}

#[cfg(test)]
mod tests {
    use masque_types::{
        cost::Spend,
        event::FailReason,
        message::ToolCall,
        model::{FinishReason, Receipt},
        time::Timestamp,
        tool::{Place, ToolSpec},
    };
    use proptest::prelude::*;

    use super::*;

    fn answer(calls: &[u8]) -> EventBody {
        let call = |number: &u8| ToolCall {
            id: number.to_string(),
            tool: if number.is_multiple_of(2) { "fs.read".to_owned() } else { "shell.exec".to_owned() },
            arguments: Value::Null,
            signature: None,
        };
        let message = AssistantMessage {
            text: "I think".to_owned(),
            calls: calls.iter().map(call).collect(),
            ..AssistantMessage::default()
        };
        let receipt = Receipt {
            attempts: Vec::new(),
            served: None,
            reported_model: None,
            response_id: None,
            usage: Spend::default().usage,
            usage_reported: true,
            micro_usd: None,
            latency: std::time::Duration::ZERO,
        };
        EventBody::ModelCallFinished { step: 1, message, finish: FinishReason::Stop, receipt }
    }

    fn finished(call: u8) -> EventBody {
        EventBody::ToolCallFinished {
            call_id: call.to_string(),
            content: Vec::new(),
            is_error: false,
            whole: None,
            duration_ms: 1,
        }
    }

    fn body() -> impl Strategy<Value = EventBody> {
        prop_oneof![
            prop::collection::vec(0..4_u8, 0..3).prop_map(|calls| answer(&calls)),
            (0..4_u8).prop_map(finished),
            (0..4_u8).prop_map(|call| EventBody::ToolCallStarted {
                call_id: call.to_string(),
                effect: EffectClass::Pure,
                attempt: 1
            }),
            Just(EventBody::ModelCallStarted {
                step: 1,
                messages: 1,
                reserved_tokens: 1,
                reserved_micro_usd: masque_types::cost::MicroUsd(0)
            }),
            Just(EventBody::OutputRejected { errors: Vec::new() }),
            Just(EventBody::ToolsPinned { tools: Vec::new() }),
        ]
    }

    fn events(bodies: Vec<EventBody>) -> Vec<Event> {
        (1..).zip(bodies).map(|(seq, body)| Event { seq, epoch: 1, at: Timestamp(0), body }).collect()
    }

    proptest! {
        #[test]
        fn percent_never_falls_and_is_100_only_when_complete(
            bodies in prop::collection::vec(body(), 0..60),
            cut in 0..60_usize,
            completes: bool,
        ) {
            let mut events = events(bodies);
            let (mut story, mut last) = (Story::default(), 0);
            for event in &events {
                story.take(std::slice::from_ref(event));
                prop_assert!(story.percent >= last && story.percent <= MOST_UNDER_WAY);
                last = story.percent;
            }
            let seq = events.len() as Seq + 1;
            let spend = Spend::default();
            let body = if completes {
                EventBody::RunCompleted { text: "done".to_owned(), output: None, spend }
            } else {
                let (reason, message, partial) = (FailReason::Model, "no".to_owned(), String::new());
                EventBody::RunFailed { reason, message, partial, spend }
            };
            events.push(Event { seq, epoch: 1, at: Timestamp(0), body });
            story.take(&events);
            prop_assert_eq!(story.percent == 100, completes);
            prop_assert!(story.end.is_some());
            // However often and in how many pieces it is read, it tells the same.
            let mut pieces = Story::default();
            let (one, two) = events.split_at(cut.min(events.len()));
            pieces.take(one);
            pieces.take(two);
            pieces.take(&events);
            prop_assert_eq!(pieces, story);
        }
    }

    #[test]
    fn phases_follow_the_work() {
        let tool = ToolSpec {
            name: "fs.read".to_owned(),
            description: String::new(),
            input_schema: Value::Null,
            output_schema: None,
            effect: EffectClass::Pure,
            place: Place::Host,
            depends_on: Vec::new(),
        };
        let started =
            |call: u8| EventBody::ToolCallStarted { call_id: call.to_string(), effect: EffectClass::Pure, attempt: 1 };
        let bodies = vec![
            EventBody::ToolsPinned { tools: vec![tool] },
            answer(&[2, 3]),
            started(2),
            finished(2),
            started(3),
            finished(3),
            answer(&[]),
        ];
        let mut story = Story::default();
        let mut seen = Vec::new();
        for event in events(bodies) {
            story.take(&[event]);
            seen.push((story.phase, story.message.clone(), story.percent));
        }
        let told: Vec<_> = seen.iter().map(|(phase, message, percent)| (*phase, message.as_str(), *percent)).collect();
        assert_eq!(
            told,
            [
                (Phase::Initializing, "The environment is set up", 5),
                (Phase::Initializing, "The environment is set up", 19),
                (Phase::Searching, "Using fs.read", 19),
                (Phase::Searching, "Used fs.read", 29),
                (Phase::Analyzing, "Using shell.exec", 29),
                (Phase::Analyzing, "Used shell.exec", 36),
                (Phase::Generating, "Writing the answer", 90),
            ]
        );
        assert_eq!((story.tool_calls, story.text.as_str()), (2, "I think"));
    }
}
