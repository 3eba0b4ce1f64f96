//! A run's state: what its journal says so far. Changed by [`State::apply`] only.

use std::{collections::HashMap, sync::Arc, time::Duration};

use masque_types::{
    actor::Actor,
    approval::{Answer, Approval, Question, Ruling},
    child::{Called, ChildMode, DEFAULT_PARALLEL},
    cost::{Limits, MicroUsd, Price, Spend, Usage},
    digest::Digest,
    event::{BlobRef, Event, EventBody, FailReason, Refusal},
    id::{ApprovalId, RunId, Seq},
    message::{AssistantMessage, Message, Part, ToolCall, ToolMessage},
    model::{FailureKind, FinishReason, Route},
    persona::Persona,
    policy::{Mode, Policy, Rule},
    run::{ModelChoice, RunSpec, RunStatus},
    time::Timestamp,
    tool::{EffectClass, Place, ToolSpec},
};
use serde_json::Value;

use crate::{compaction, output};

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

    /// Where the run stands.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        match &self.outcome {
            Some(Outcome::Completed { .. }) => RunStatus::Completed,
            Some(Outcome::Failed { .. }) => RunStatus::Failed,
            Some(Outcome::Cancelled { .. }) => RunStatus::Cancelled,
            None if self.turn_over || self.waits_for_others_only() => RunStatus::Waiting,
            None => RunStatus::Running,
        }
    }

    /// What a run that waits waits for.
    #[must_use]
    pub fn waits(&self) -> Waits {
        if self.turn_over {
            Waits::Words
        } else if self.questions().next().is_some() {
            Waits::Answers
        } else {
            Waits::Runs
        }
    }

    /// The open questions.
    pub fn questions(&self) -> impl Iterator<Item = &Approval> {
        self.calls.iter().filter_map(|call| match &call.phase {
            Phase::Asked(approval) => Some(&**approval),
            _ => None,
        })
    }

    /// When something happens by itself: the next deadline of a question or a called run, or the end of the active time.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        let called = self.children.iter().filter(|child| !child.stopping).filter_map(|child| child.deadline);
        let deadline = self.questions().filter_map(|question| question.deadline).chain(called).min();
        let wall = self.spec.limits.wall.zip(self.active_since);
        let out_of_time = wall.map(|(wall, since)| since.plus(wall.saturating_sub(self.active)));
        match (deadline, out_of_time) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        }
    }

    /// The active time until `now`; waiting for humans does not count.
    #[must_use]
    pub fn active_time(&self, now: Timestamp) -> Duration {
        self.active + self.active_since.map_or(Duration::ZERO, |since| now.since(since))
    }

    /// Whether work was under way when the last event was written.
    #[must_use]
    pub fn has_open_work(&self) -> bool {
        self.model_call.is_some() || self.calls.iter().any(|call| matches!(call.phase, Phase::Running { .. }))
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

    fn waits_for_others_only(&self) -> bool {
        let busy =
            |phase: &Phase| matches!(phase, Phase::Running { .. } | Phase::Interrupted { .. } | Phase::InDoubt { .. });
        let stopping = self.cancelled_by.is_some() || self.interrupted_by.is_some() || self.finished_by.is_some();
        let waits = self.questions().next().is_some()
            || self.calls.iter().enumerate().any(|(place, call)| match call.phase {
                Phase::Child { .. } => true,
                Phase::Proposed | Phase::Cleared => self.held_back(place),
                _ => false,
            })
            || self.awaits_children();
        waits
            && !stopping
            && self.model_call.is_none()
            && !self.calls.iter().any(|call| busy(&call.phase))
            && self.calls.iter().enumerate().all(|(place, call)| match call.phase {
                Phase::Proposed | Phase::Cleared => self.held_back(place),
                _ => true,
            })
    }

    /// Whether the model has given its answer and called runs are yet to be waited for. A conversation does not wait: the
    /// person may speak meanwhile.
    #[must_use]
    pub fn awaits_children(&self) -> bool {
        self.unjudged.is_some() && !self.spec.conversation && self.children.iter().any(|child| !child.stopping)
    }

    /// How many more runs may be called now.
    #[must_use]
    pub fn free_calls(&self) -> usize {
        let parallel = self.persona.as_ref().and_then(|persona| persona.delegate.parallel).unwrap_or(DEFAULT_PARALLEL);
        let open = self.children.iter().filter(|child| !child.stopping).count();
        (parallel as usize).saturating_sub(open)
    }

    /// Whether a call is one of another persona.
    #[must_use]
    pub fn calls_persona(&self, call: &CallState) -> bool {
        self.tool(&call.call.tool).is_some_and(|tool| tool.place == Place::Run)
    }

    /// Whether a call must wait for others before it may begin.
    #[must_use]
    pub fn held_back(&self, place: usize) -> bool {
        let full = |call: &CallState| self.calls_persona(call) && self.free_calls() == 0;
        self.blocked(place) || self.calls.get(place).is_some_and(full)
    }

    /// Whether a call must wait for an earlier one: only pure calls and calls of other personas run beside each other.
    #[must_use]
    pub fn blocked(&self, place: usize) -> bool {
        let light = |call: &CallState| {
            let tool = self.tool(&call.call.tool);
            tool.is_none_or(|tool| tool.effect == EffectClass::Pure || tool.place == Place::Run)
        };
        let Some(this) = self.calls.get(place) else { return false };
        self.calls
            .iter()
            .take(place)
            .filter(|earlier| !matches!(earlier.phase, Phase::Settled(_)))
            .any(|earlier| !light(earlier) || !light(this))
    }

    /// Takes one event into the state.
    pub fn apply(&mut self, event: &Event) {
        self.last_seq = event.seq;
        self.last_at = event.at;
        self.apply_body(event);
        self.absorb_settled_calls();
        self.count_active_time(event.at);
    }

    fn apply_body(&mut self, event: &Event) {
        match &event.body {
            EventBody::RunCreated { .. } => {}
            EventBody::PersonaPinned { persona } => self.pin_persona(persona),
            EventBody::ToolsPinned { tools } => self.pin_tools(tools),
            EventBody::Forked { instruction, route, .. } => self.fork(instruction, route.as_ref()),
            EventBody::Recovered { .. } => self.recover(),
            EventBody::ModelCallStarted { step, reserved_tokens, reserved_micro_usd, .. } => {
                self.model_failure = None;
                self.model_call = Some(OpenModelCall {
                    step: *step,
                    reserved_tokens: *reserved_tokens,
                    reserved_micro_usd: *reserved_micro_usd,
                });
            }
            EventBody::ModelCallFinished { step, message, finish, receipt } => {
                self.step = *step;
                self.end_model_call(receipt.usage, receipt.micro_usd.unwrap_or_default());
                self.take_answer(message, *finish);
            }
            EventBody::ModelCallFailed { failure, receipt, .. } => {
                self.end_model_call(receipt.usage, receipt.micro_usd.unwrap_or_default());
                self.model_failure = Some((failure.kind, failure.message.clone()));
            }
            EventBody::ModelCallLost { usage, micro_usd, .. } => self.end_model_call(*usage, *micro_usd),
            EventBody::ToolCallStarted { call_id, effect, attempt } => {
                let running = Phase::Running { effect: *effect, since: event.at };
                self.with_call(call_id, |call| (call.phase, call.attempts) = (running, *attempt));
            }
            EventBody::ToolCallFinished { call_id, content, is_error, .. } => {
                self.count_repeat(call_id, content);
                self.take_handoff(call_id, content, *is_error);
                self.settle(call_id, content.clone(), *is_error);
            }
            EventBody::ToolCallRefused { call_id, message, reason } => {
                let content = vec![Part::text(message)];
                if *reason == Refusal::Loop {
                    self.count_loop(call_id);
                } else {
                    self.count_repeat(call_id, &content);
                }
                self.settle(call_id, content, true);
            }
            EventBody::ToolCallInDoubt { call_id } => self.with_call(call_id, |call| {
                let since = match call.phase {
                    Phase::Running { since, .. } | Phase::Interrupted { since } => since,
                    Phase::Cleared => event.at,
                    _ => return,
                };
                call.phase = Phase::InDoubt { since };
            }),
            EventBody::ApprovalRequested { approval, call_id, question, digest, deadline } => {
                let asked = Approval {
                    id: *approval,
                    run: self.run,
                    call_id: call_id.clone(),
                    question: question.clone(),
                    digest: *digest,
                    asked_at: event.at,
                    deadline: *deadline,
                    ruling: None,
                };
                self.with_call(call_id, |call| call.phase = Phase::Asked(Box::new(asked)));
            }
            EventBody::ApprovalDecided { approval, ruling } => self.rule(*approval, ruling),
            EventBody::ContextCompacted { elided, dropped, summary, tokens_after, .. } => {
                self.summary.clone_from(summary);
                compaction::apply(&mut self.messages, &self.spec.task, *elided, *dropped, summary);
                self.context_tokens = *tokens_after;
                self.model_failure = None;
            }
            EventBody::OutputRejected { errors } => {
                self.repairs += 1;
                self.unjudged = None;
                self.say(Message::user(output::repair_request(errors)));
            }
            EventBody::CancelRequested { by } => self.cancelled_by = Some(by.clone()),
            EventBody::ChildStarted { call_id, child, persona, package, mode, reserved, deadline } => {
                let called = ChildState {
                    child: *child,
                    call_id: call_id.clone(),
                    persona: persona.clone(),
                    package: *package,
                    mode: *mode,
                    reserved: *reserved,
                    deadline: *deadline,
                    stopping: false,
                };
                self.children.push(called);
                if *mode != ChildMode::Async {
                    let handoff = *mode == ChildMode::Handoff;
                    let phase = Phase::Child { child: *child, handoff, since: event.at };
                    self.with_call(call_id, |call| call.phase = phase);
                }
            }
            EventBody::ChildCancelled { child, .. } => {
                let stopped = self.children.iter_mut().filter(|open| open.child == *child);
                stopped.for_each(|open| open.stopping = true);
            }
            EventBody::ChildEnded { child, spend, note, .. } => {
                self.children.retain(|open| open.child != *child);
                self.spend.usage += spend.usage;
                self.spend.micro_usd = MicroUsd(self.spend.micro_usd.0.saturating_add(spend.micro_usd.0));
                self.queued.extend_from_slice(note);
            }
            EventBody::TurnEnded { .. } => self.end_turn(),
            EventBody::UserSaid { parts, model, .. } => self.hear(parts, model.as_deref()),
            EventBody::InterruptRequested { by, partial } => self.interrupt(by, partial),
            EventBody::FinishRequested { by } => self.finished_by = Some(by.clone()),
            EventBody::PolicyChanged { mode, narrow, .. } => self.change_policy(*mode, narrow),
            EventBody::RunCompleted { text, output, .. } => {
                self.outcome = Some(Outcome::Completed { text: text.clone(), output: output.clone() });
            }
            EventBody::RunFailed { reason, message, partial, .. } => {
                self.outcome =
                    Some(Outcome::Failed { reason: *reason, message: message.clone(), partial: partial.clone() });
            }
            EventBody::RunCancelled { partial, interrupted, .. } => {
                self.outcome = Some(Outcome::Cancelled { partial: partial.clone(), interrupted: interrupted.clone() });
            }
        }
    }

    fn pin_persona(&mut self, persona: &Persona) {
        self.context_tokens += (persona.prompt.len() as u64).div_ceil(4);
        self.persona = Some(Arc::new(persona.clone()));
    }

    fn pin_tools(&mut self, tools: &[ToolSpec]) {
        let weight = |tool: &ToolSpec| tool.description.len() + tool.input_schema.to_string().len();
        self.context_tokens += (tools.iter().map(weight).sum::<usize>() as u64).div_ceil(4);
        self.tools = Some(tools.into());
    }

    /// A fork starts its own account, asks its own questions, and treats work that was under way as interrupted.
    fn fork(&mut self, instruction: &[Part], route: Option<&Route>) {
        self.spend = Spend::default();
        self.model_call = None;
        self.model_failure = None;
        // What the parent called answers to the parent.
        self.children.clear();
        self.called = None;
        self.steps_before_turn = 0;
        self.interrupted_by = None;
        self.finished_by = None;
        self.cancelled_by = None;
        self.turn_over &= instruction.is_empty();
        self.outcome = None;
        self.active = Duration::ZERO;
        self.active_since = (!self.turn_over).then_some(self.last_at);
        for call in &mut self.calls {
            call.phase = match &call.phase {
                Phase::Asked(approval) => match approval.question {
                    Question::InDoubt { announced_at, .. } => Phase::InDoubt { since: announced_at },
                    _ => Phase::Proposed,
                },
                Phase::Child { since, .. } => Phase::InDoubt { since: *since },
                _ => continue,
            };
        }
        if let Some(route) = route {
            self.route = Arc::new(route.clone());
        }
        if !instruction.is_empty() {
            self.unjudged = None;
            self.queued.extend_from_slice(instruction);
        }
    }

    /// Calls that are not settled are given up: the next turn begins without them.
    fn end_turn(&mut self) {
        self.turn_over = true;
        self.interrupted_by = None;
        self.aborted = false;
        self.model_failure = None;
        self.unjudged = None;
        self.repairs = 0;
        self.repeats.clear();
        self.handed_off = None;
        for call in &mut self.calls {
            let text = match &call.phase {
                Phase::Settled(_) => continue,
                Phase::InDoubt { .. } | Phase::Child { .. } => output::GIVEN_UP_UNKNOWN,
                _ => output::GIVEN_UP,
            };
            call.phase = Phase::Settled(ToolMessage {
                call_id: call.call.id.clone(),
                tool: call.call.tool.clone(),
                content: vec![Part::text(text)],
                is_error: true,
            });
        }
    }

    /// The person's words begin a turn, or join the one that is under way.
    fn hear(&mut self, parts: &[Part], model: Option<&ModelChoice>) {
        if let Some(ModelChoice { route, price, context_tokens }) = model {
            self.route = Arc::new(route.clone());
            self.price = *price;
            self.context_limit = *context_tokens;
        }
        self.queued.extend_from_slice(parts);
        if self.turn_over {
            self.turn_over = false;
            self.steps_before_turn = self.spend.steps;
            self.active = Duration::ZERO;
        }
    }

    /// What the model had said so far stays in the conversation.
    fn interrupt(&mut self, by: &Actor, partial: &str) {
        self.interrupted_by = Some(by.clone());
        if self.model_call.is_some() && !partial.trim().is_empty() {
            let text = partial.to_owned();
            self.say(Message::Assistant(AssistantMessage { text, ..AssistantMessage::default() }));
        }
    }

    fn change_policy(&mut self, mode: Option<Mode>, narrow: &[Rule]) {
        let mut policy = (*self.policy).clone();
        policy.mode = mode.unwrap_or(policy.mode);
        narrow.iter().cloned().for_each(|rule| policy.narrow(rule));
        self.policy = Arc::new(policy);
    }

    /// What was announced and not confirmed is sorted by what a crash means for it.
    fn recover(&mut self) {
        for call in &mut self.calls {
            if let Phase::Running { effect, since } = call.phase {
                call.phase = match effect {
                    EffectClass::Pure | EffectClass::Keyed => Phase::Cleared,
                    EffectClass::Probe => Phase::Interrupted { since },
                    // The event `tool_call_in_doubt` follows.
                    EffectClass::Once => Phase::Running { effect, since },
                };
            }
        }
    }

    fn end_model_call(&mut self, usage: Usage, micro_usd: MicroUsd) {
        self.model_call = None;
        self.spend.steps += 1;
        self.spend.usage += usage;
        self.spend.micro_usd = MicroUsd(self.spend.micro_usd.0.saturating_add(micro_usd.0));
    }

    fn take_answer(&mut self, message: &AssistantMessage, finish: FinishReason) {
        let proposed = |call: &ToolCall| CallState { call: call.clone(), phase: Phase::Proposed, attempts: 0 };
        self.calls = message.calls.iter().map(proposed).collect();
        self.unjudged = message.calls.is_empty().then_some(finish);
        self.say(Message::Assistant(message.clone()));
    }

    fn rule(&mut self, approval: ApprovalId, ruling: &Ruling) {
        let asked = |call: &&mut CallState| matches!(&call.phase, Phase::Asked(asked) if asked.id == approval);
        let Some(call) = self.calls.iter_mut().find(asked) else { return };
        let Phase::Asked(question) = std::mem::replace(&mut call.phase, Phase::Proposed) else { return };
        let result = |text: String, is_error| {
            Phase::Settled(ToolMessage {
                call_id: call.call.id.clone(),
                tool: call.call.tool.clone(),
                content: vec![Part::text(text)],
                is_error,
            })
        };
        let by = &ruling.by;
        call.phase = match &ruling.answer {
            Answer::Approve | Answer::Retry => Phase::Cleared,
            Answer::Deny { reason } => result(output::denied(by, reason.as_deref()), true),
            Answer::Reply { text } => result(text.clone(), false),
            Answer::Happened { result: known } => result(output::happened(known.as_deref()), false),
            Answer::Abort => {
                self.aborted = true;
                match question.question {
                    Question::InDoubt { announced_at, .. } if self.spec.conversation => {
                        Phase::InDoubt { since: announced_at }
                    }
                    _ => Phase::Asked(question.clone()),
                }
            }
        };
        self.decisions.push(output::decision_line(&question.question, &ruling.answer, by));
    }

    /// The answer of a persona that the task was left to is the run's own, unless that has a form of its own to satisfy.
    fn take_handoff(&mut self, call_id: &str, content: &[Part], is_error: bool) {
        let handed =
            |call: &CallState| call.call.id == call_id && matches!(call.phase, Phase::Child { handoff: true, .. });
        let has_form = self.persona.as_ref().is_some_and(|persona| persona.output_schema.is_some());
        if !is_error && (self.spec.conversation || !has_form) && self.calls.iter().any(handed) {
            self.handed_off = Some(masque_types::message::joined_text(content));
        }
    }

    fn settle(&mut self, call_id: &str, content: Vec<Part>, is_error: bool) {
        self.with_call(call_id, |call| {
            let tool = call.call.tool.clone();
            call.phase = Phase::Settled(ToolMessage { call_id: call_id.to_owned(), tool, content, is_error });
        });
    }

    fn count_repeat(&mut self, call_id: &str, content: &[Part]) {
        let Some(call) = self.calls.iter().find(|call| call.call.id == call_id) else { return };
        let text = masque_types::message::joined_text(content);
        let result = Digest::of(text);
        let entry = self.repeats.entry(call.call.digest()).or_insert(Repeats { result, count: 0 });
        entry.count = if entry.result == result { entry.count + 1 } else { 1 };
        entry.result = result;
    }

    /// A call refused as a repetition is one repetition more.
    fn count_loop(&mut self, call_id: &str) {
        let digest = self.calls.iter().find(|call| call.call.id == call_id).map(|call| call.call.digest());
        if let Some(repeats) = digest.and_then(|digest| self.repeats.get_mut(&digest)) {
            repeats.count += 1;
        }
    }

    fn with_call(&mut self, call_id: &str, change: impl FnOnce(&mut CallState)) {
        if let Some(call) = self.calls.iter_mut().find(|call| call.call.id == call_id) {
            change(call);
        }
    }

    /// When the last call of an answer is settled, the results enter the conversation together, in order.
    fn absorb_settled_calls(&mut self) {
        if !self.calls.is_empty() && self.calls.iter().all(|call| matches!(call.phase, Phase::Settled(_))) {
            for call in std::mem::take(&mut self.calls) {
                if let Phase::Settled(message) = call.phase {
                    self.say(Message::Tool(message));
                }
            }
            if let Some(text) = self.handed_off.take().filter(|_| !self.turn_over) {
                self.say(Message::Assistant(AssistantMessage { text, ..AssistantMessage::default() }));
                self.unjudged = Some(FinishReason::Stop);
            }
        }
        if self.calls.is_empty() && self.model_call.is_none() && !self.queued.is_empty() {
            let content = std::mem::take(&mut self.queued);
            // An answer after which more was said is not the last one.
            self.unjudged = None;
            self.say(Message::User { content });
        }
    }

    fn say(&mut self, message: Message) {
        self.context_tokens += message.estimated_tokens();
        self.messages.push(Arc::new(message));
    }

    fn count_active_time(&mut self, at: Timestamp) {
        match (self.status(), self.active_since) {
            (RunStatus::Waiting, Some(since)) => {
                self.active += at.since(since);
                self.active_since = None;
            }
            (RunStatus::Running, None) => self.active_since = Some(at),
            _ => {}
        }
    }
}
