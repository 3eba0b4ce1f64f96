//! A run's state: what its journal says so far. Changed by [`State::apply`] only.

mod fold;
mod waiting;

use std::{collections::HashMap, sync::Arc, time::Duration};

use masque_types::{
    actor::Actor,
    approval::Approval,
    child::{Called, ChildMode},
    cost::{Limits, MicroUsd, Price, Spend},
    digest::Digest,
    event::{BlobRef, Event, EventBody, FailReason},
    id::{RunId, Seq},
    message::{Message, Part, ToolCall, ToolMessage},
    model::{FailureKind, FinishReason, Route},
    persona::Persona,
    policy::Policy,
    run::RunSpec,
    time::Timestamp,
    tool::{EffectClass, ToolSpec},
};
use serde_json::Value;

/// What a run's journal says so far.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The run.
    pub run: RunId,
    /// What was fixed at the start.
    pub spec: Arc<RunSpec>,
    /// The models asked; the specification's unless a fork or the person changed it.
    pub route: Arc<Route>,
    /// The dearest price on that route.
    pub price: Price,
    /// Tokens that the conversation may take before it is compacted.
    pub context_limit: u64,
    /// What the persona may do now; the specification's unless the person changed it.
    pub policy: Arc<Policy>,
    /// The persona version that the run stays with.
    pub persona: Option<Arc<Persona>>,
    /// The tools that the run stays with; absent before the environment was first activated.
    pub tools: Option<Arc<[ToolSpec]>>,
    /// The tools beside the core that the model asked for, in that order, where it has to ask.
    pub discovered: Vec<String>,
    /// The last event.
    pub last_seq: Seq,
    /// When it was written.
    pub last_at: Timestamp,
    /// The conversation.
    pub messages: Vec<Arc<Message>>,
    /// Estimated tokens of the conversation with prompt and tools.
    pub context_tokens: u64,
    /// The calls of the last answer that are not yet part of the conversation, in the model's order.
    pub calls: Vec<CallState>,
    /// The runs that this one called and that have not ended, in the order of their starts.
    pub children: Vec<ChildState>,
    /// How this run was called; absent for one that a person started, and for a fork.
    pub called: Option<Arc<Called>>,
    /// The answer of a persona that the task was left to, until it is this run's own.
    pub handed_off: Option<String>,
    /// The model call that is under way.
    pub model_call: Option<OpenModelCall>,
    /// The finished model calls.
    pub step: u32,
    /// What was used.
    pub spend: Spend,
    /// Why the last model call stopped, and whether its answer is yet to be judged.
    pub unjudged: Option<FinishReason>,
    /// How often the output was repaired.
    pub repairs: u32,
    /// The last failure of a model call, if nothing has been tried since.
    pub model_failure: Option<(FailureKind, String)>,
    /// Whether a conversation waits for the person's next words.
    pub turn_over: bool,
    /// The model calls before this turn; those of a run that is no conversation are one turn.
    pub steps_before_turn: u32,
    /// Who wants the turn stopped.
    pub interrupted_by: Option<Actor>,
    /// Who wants the conversation to end with its last answer.
    pub finished_by: Option<Actor>,
    /// Who wants the run stopped.
    pub cancelled_by: Option<Actor>,
    /// A human gave an interrupted call up.
    pub aborted: bool,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Active time before `active_since`.
    pub active: Duration,
    /// When the run last became active; absent while it waits for a human only.
    pub active_since: Option<Timestamp>,
    /// How often each call was made with the same result.
    pub repeats: HashMap<Digest, Repeats>,
    /// Human decisions, for the summary that replaces old turns.
    pub decisions: Vec<String>,
    /// What the user added and the conversation could not yet take.
    pub queued: Vec<Part>,
    /// What compaction put beside the task.
    pub summary: String,
}

/// How often the same call had the same result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeats {
    /// The digest of the last result.
    pub result: Digest,
    /// How often in a row.
    pub count: u32,
}

/// A model call that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenModelCall {
    /// Its number.
    pub step: u32,
    /// Tokens reserved.
    pub reserved_tokens: u64,
    /// Money reserved.
    pub reserved_micro_usd: MicroUsd,
}

/// A called run that has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildState {
    /// The run.
    pub child: RunId,
    /// The call that started it.
    pub call_id: String,
    /// Its persona.
    pub persona: String,
    /// The package that carries its task.
    pub package: BlobRef,
    /// How its result is taken.
    pub mode: ChildMode,
    /// What it may use.
    pub reserved: Limits,
    /// When the call is given up.
    pub deadline: Option<Timestamp>,
    /// Whether it was told to stop.
    pub stopping: bool,
}

/// One tool call of the last answer.
#[derive(Debug, Clone, PartialEq)]
pub struct CallState {
    /// The call.
    pub call: ToolCall,
    /// Where it stands.
    pub phase: Phase,
    /// Tries so far.
    pub attempts: u32,
}

/// Where a tool call stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Nothing was decided.
    Proposed,
    /// A human is asked.
    Asked(Box<Approval>),
    /// It may be made.
    Cleared,
    /// It was announced.
    Running {
        /// What a crash means.
        effect: EffectClass,
        /// When.
        since: Timestamp,
    },
    /// It was announced by a worker that died, and the world can be asked whether it happened.
    Interrupted {
        /// When it was announced.
        since: Timestamp,
    },
    /// It was announced by a worker that died; nobody knows whether it happened, and nobody was asked yet.
    InDoubt {
        /// When it was announced.
        since: Timestamp,
    },
    /// Another persona works on it.
    Child {
        /// Its run.
        child: RunId,
        /// Whether its answer becomes the run's own.
        handoff: bool,
        /// When it was called.
        since: Timestamp,
    },
    /// It has a result for the model.
    Settled(ToolMessage),
}

/// What a run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// Answers to its questions.
    Answers,
    /// The person's next words.
    Words,
    /// The ends of runs that it called.
    Runs,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// With a result.
    Completed {
        /// As text.
        text: String,
        /// As data, when the persona has an output schema.
        output: Option<Value>,
    },
    /// Without.
    Failed {
        /// Why.
        reason: FailReason,
        /// For people.
        message: String,
        /// The last text.
        partial: String,
    },
    /// Stopped.
    Cancelled {
        /// The last text.
        partial: String,
        /// Calls whose outcome is unknown.
        interrupted: Vec<String>,
    },
}

impl State {
    /// Folds a whole journal.
    ///
    /// # Errors
    /// When the journal is empty, does not start with `RunCreated`, or has a gap.
    pub fn fold(run: RunId, events: &[Event]) -> Result<Self, crate::Error> {
        let damaged = |seq, what: &str| crate::Error::Damaged { run, seq, what: what.to_owned() };
        let Some(Event { seq: 1, at, body: EventBody::RunCreated { spec }, .. }) = events.first() else {
            return Err(if events.is_empty() {
                crate::Error::NoSuchRun(run)
            } else {
                damaged(1, "it does not start with `run_created`")
            });
        };
        let mut state = Self::new(run, Arc::new((**spec).clone()), *at);
        state.take(events.get(1..).unwrap_or_default())?;
        Ok(state)
    }

    /// Takes the events that follow.
    ///
    /// # Errors
    /// When one is missing.
    pub fn take(&mut self, events: &[Event]) -> Result<(), crate::Error> {
        for event in events {
            let next = self.last_seq + 1;
            if event.seq != next {
                let what = "the event is missing".to_owned();
                return Err(crate::Error::Damaged { run: self.run, seq: next, what });
            }
            self.apply(event);
        }
        Ok(())
    }

    fn new(run: RunId, spec: Arc<RunSpec>, at: Timestamp) -> Self {
        let task = Message::User { content: spec.task.clone() };
        Self {
            run,
            spec: Arc::clone(&spec),
            route: Arc::new(spec.route.clone()),
            price: spec.price,
            context_limit: spec.context_tokens,
            policy: Arc::new(spec.policy.clone()),
            context_tokens: task.estimated_tokens(),
            messages: vec![Arc::new(task)],
            persona: None,
            tools: None,
            discovered: Vec::new(),
            last_seq: 1,
            last_at: at,
            calls: Vec::new(),
            children: Vec::new(),
            called: spec.called.clone().map(Arc::new),
            handed_off: None,
            model_call: None,
            step: 0,
            spend: Spend::default(),
            unjudged: None,
            repairs: 0,
            model_failure: None,
            turn_over: false,
            steps_before_turn: 0,
            interrupted_by: None,
            finished_by: None,
            cancelled_by: None,
            aborted: false,
            outcome: None,
            active: Duration::ZERO,
            active_since: Some(at),
            repeats: HashMap::new(),
            decisions: Vec::new(),
            queued: Vec::new(),
            summary: String::new(),
        }
    }

    /// The last text of the model: the partial result of a run that did not complete.
    #[must_use]
    pub fn last_text(&self) -> String {
        let said = |message: &Arc<Message>| match &**message {
            Message::Assistant(message) if !message.text.is_empty() => Some(message.text.clone()),
            _ => None,
        };
        self.messages.iter().rev().find_map(said).unwrap_or_default()
    }

    /// The last text of the model since somebody else spoke.
    #[must_use]
    pub fn turn_text(&self) -> String {
        let by_model = self.messages.iter().rev().take_while(|message| !matches!(***message, Message::User { .. }));
        let said = |message: &Arc<Message>| match &**message {
            Message::Assistant(message) if !message.text.is_empty() => Some(message.text.clone()),
            _ => None,
        };
        by_model.filter_map(said).next().unwrap_or_default()
    }

    /// The spec of a pinned tool.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<&ToolSpec> {
        self.tools.as_deref()?.iter().find(|tool| tool.name == name)
    }
}
