//! The pure state machine of a run: inputs in, events and actions out.
//!
//! [`Machine::handle`] takes what happened, decides what that means (events), and plans what comes next (more events,
//! and actions). It reads no clock and does nothing: the caller commits the events, then performs the actions, and
//! feeds what they bring back in. Folding the emitted events gives the same state.

mod children;

use std::collections::HashSet;

use masque_types::{
    actor::{Actor, Channel},
    approval::{Answer, Question, Ruling},
    cost::Spend,
    event::{BlobRef, Event, EventBody, FailReason},
    id::{Epoch, RunId},
    message::ToolCall,
    model::{ModelError, ModelReply, ModelRequest},
    run::{Command, RunStatus},
    time::Timestamp,
    tool::{EffectClass, Invocation, ProbeAnswer, ToolSpec},
};

use crate::{
    calling,
    children::{ChildRequest, Resolved, StartChild},
    output::Bounded,
    planning,
    schema::Schemas,
    state::{OpenModelCall, Phase, State},
};

use self::children::Ended;

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A worker holds the run's lease and nothing was under way.
    Claimed,
    /// A worker took over from one that stopped in the middle.
    Recovered {
        /// The worker.
        worker: String,
    },
    /// The environment was activated for the first time.
    ToolsReady(Vec<ToolSpec>),
    /// The environment could not be activated.
    EnvironmentFailed(String),
    /// A model call ended.
    Model(Result<ModelReply, Box<ModelError>>),
    /// A tool call ended.
    Tool {
        /// The call.
        call_id: String,
        /// Its result, bounded.
        output: Bounded,
        /// How long it took.
        duration_ms: u64,
    },
    /// A probe ended.
    Probed {
        /// The call.
        call_id: String,
        /// What the world says.
        answer: Probed,
    },
    /// A persona that is to be called was looked up.
    ChildResolved {
        /// The call.
        call_id: String,
        /// Who was found, or why nobody can be called; for the model.
        resolved: Result<Resolved, String>,
    },
    /// A called run exists, or cannot.
    ChildReady {
        /// The run.
        child: RunId,
        /// Why it cannot; for the model.
        started: Result<(), String>,
    },
    /// Someone wants the turn stopped.
    Interrupted {
        /// Who.
        by: Actor,
        /// What the model has said so far in the call under way.
        partial: String,
    },
    /// Someone outside wants something.
    Command(Command),
    /// Time passed.
    Tick,
}

/// The answer of a probe, bounded.
#[derive(Debug)]
pub enum Probed {
    /// The call happened.
    Happened(Bounded),
    /// It did not.
    DidNotHappen,
    /// Nobody knows.
    Unknown,
}

impl Probed {
    /// Bounds a tool's answer.
    #[must_use]
    pub fn from_answer(answer: ProbeAnswer) -> Self {
        match answer {
            ProbeAnswer::Happened(output) => Self::Happened(crate::output::bounded(output)),
            ProbeAnswer::DidNotHappen => Self::DidNotHappen,
            ProbeAnswer::Unknown => Self::Unknown,
        }
    }
}

/// What is to be done after the events are committed.
#[derive(Debug)]
pub enum Action {
    /// Activate the environment for the first time; brings [`Input::ToolsReady`] or [`Input::EnvironmentFailed`].
    Activate,
    /// Ask a model; brings [`Input::Model`].
    CallModel(Box<ModelRequest>),
    /// Call a tool; brings [`Input::Tool`].
    CallTool {
        /// The call.
        invocation: Invocation,
        /// What a crash means; anything but `pure` must be durable before it is made.
        effect: EffectClass,
    },
    /// Ask whether a call happened; brings [`Input::Probed`].
    Probe(Invocation),
    /// Look up a persona that is to be called; brings [`Input::ChildResolved`].
    ResolveChild(Box<ChildRequest>),
    /// Make sure that a called run exists; brings [`Input::ChildReady`].
    StartChild(StartChild),
    /// Drive a called run beside this one. Its end comes as a command.
    DriveChild(RunId),
    /// Give up all that is under way: the turn is over.
    Abandon,
}

/// The outcome of one input.
#[derive(Debug, Default)]
pub struct Step {
    /// To be committed, in order.
    pub events: Vec<Event>,
    /// To be stored with them, by digest.
    pub blobs: Vec<Vec<u8>>,
    /// To be done afterwards.
    pub actions: Vec<Action>,
}

/// A run in the hands of a worker.
pub struct Machine {
    state: State,
    epoch: Epoch,
    schemas: Schemas,
    /// Calls whose probe is under way; a new worker probes again.
    probing: HashSet<String>,
    /// Calls whose persona is being looked up.
    resolving: HashSet<String>,
    /// Called runs that this worker has seen to.
    started: HashSet<RunId>,
    activating: bool,
}

impl Machine {
    /// Takes a folded state under a lease.
    #[must_use]
    pub fn new(state: State, epoch: Epoch) -> Self {
        Self {
            state,
            epoch,
            schemas: Schemas::default(),
            probing: HashSet::new(),
            resolving: HashSet::new(),
            started: HashSet::new(),
            activating: false,
        }
    }

    /// Puts another state in place, keeping what is compiled: for a replay, which decides at every event anew.
    pub(crate) fn rewind(&mut self, state: State, epoch: Epoch) {
        self.state = state;
        self.epoch = epoch;
        self.probing.clear();
        self.resolving.clear();
        self.started.clear();
        self.activating = false;
    }

    /// The state so far.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Takes one input: what it means, and what comes next.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Step {
        let mut step = Step::default();
        // A clock may go backwards; the journal does not.
        let now = now.max(self.state.last_at);
        if self.state.outcome.is_some() {
            return step;
        }
        let turn_was_over = self.state.turn_over;
        let bodies = self.react(input, now, &mut step);
        self.record(bodies, now, &mut step);
        while self.state.outcome.is_none() {
            let plan = planning::plan(&self.state, &mut self.schemas, now);
            self.dispatch(plan.actions, &mut step);
            if plan.events.is_empty() {
                break;
            }
            self.record(plan.events, now, &mut step);
        }
        if self.state.turn_over && !turn_was_over {
            self.probing.clear();
            self.resolving.clear();
            step.actions = vec![Action::Abandon];
        }
        if self.state.outcome.is_none() {
            // Also those that another worker began: without one that drives them nothing happens in them.
            let unseen = self.state.children.iter().filter(|child| self.started.insert(child.child));
            step.actions.extend(unseen.map(|child| Action::StartChild(calling::start(child))));
        }
        step
    }

    fn record(&mut self, bodies: Vec<EventBody>, now: Timestamp, step: &mut Step) {
        for body in bodies {
            let event = Event { seq: self.state.last_seq + 1, epoch: self.epoch, at: now, body };
            self.state.apply(&event);
            step.events.push(event);
        }
    }

    /// Lets through the actions that are not under way already.
    fn dispatch(&mut self, actions: Vec<Action>, step: &mut Step) {
        for action in actions {
            let fresh = match &action {
                Action::Activate => !std::mem::replace(&mut self.activating, true),
                Action::Probe(invocation) => self.probing.insert(invocation.call.id.clone()),
                Action::ResolveChild(request) => self.resolving.insert(request.call_id.clone()),
                Action::CallModel(_)
                | Action::CallTool { .. }
                | Action::StartChild(_)
                | Action::DriveChild(_)
                | Action::Abandon => true,
            };
            if fresh {
                step.actions.push(action);
            }
        }
    }

    fn react(&mut self, input: Input, now: Timestamp, step: &mut Step) -> Vec<EventBody> {
        match input {
            Input::Claimed => Vec::new(),
            Input::Recovered { worker } => self.recovered(worker),
            Input::ToolsReady(tools) => vec![EventBody::ToolsPinned { tools }],
            Input::EnvironmentFailed(message) => {
                self.activating = false;
                vec![planning::failed(&self.state, FailReason::Environment, message)]
            }
            Input::Model(result) => self.model_ended(result),
            Input::Tool { call_id, output, duration_ms } => {
                self.tool_ended(call_id, output, duration_ms, &mut step.blobs)
            }
            Input::Probed { call_id, answer } => self.probed(call_id, answer, step),
            Input::ChildResolved { call_id, resolved } => self.child_resolved(call_id, resolved, now, step),
            Input::ChildReady { child, started: Ok(()) } => {
                step.actions.push(Action::DriveChild(child));
                Vec::new()
            }
            Input::ChildReady { child, started: Err(problem) } => {
                let ended = Ended { status: RunStatus::Failed, text: String::new(), problem: Some(problem) };
                self.child_ended(child, ended, Spend::default(), now, step)
            }
            Input::Interrupted { by, partial } => self.interrupted(by, partial),
            Input::Command(Command::ChildEnded { child, status, text, problem, spend }) => {
                self.child_ended(child, Ended { status, text, problem }, spend, now, step)
            }
            Input::Command(command) => self.commanded(command, now),
            Input::Tick => self.overdue(now),
        }
    }

    /// What was under way is lost, retried, probed or put to a human.
    fn recovered(&self, worker: String) -> Vec<EventBody> {
        let mut events = vec![EventBody::Recovered { worker }];
        events.extend(planning::lost_model_call(&self.state));
        let in_doubt = self
            .state
            .calls
            .iter()
            .filter(|call| matches!(call.phase, Phase::Running { effect: EffectClass::Once, .. }));
        events.extend(in_doubt.map(|call| EventBody::ToolCallInDoubt { call_id: call.call.id.clone() }));
        events
    }

    fn model_ended(&self, result: Result<ModelReply, Box<ModelError>>) -> Vec<EventBody> {
        let Some(OpenModelCall { step, .. }) = self.state.model_call else { return Vec::new() };
        match result {
            Ok(ModelReply { mut message, finish, receipt }) => {
                make_ids_unique(&mut message.calls);
                vec![EventBody::ModelCallFinished { step, message, finish, receipt }]
            }
            Err(error) => {
                let ModelError { failure, receipt } = *error;
                vec![EventBody::ModelCallFailed { step, failure, receipt }]
            }
        }
    }

    fn tool_ended(
        &self,
        call_id: String,
        output: Bounded,
        duration_ms: u64,
        blobs: &mut Vec<Vec<u8>>,
    ) -> Vec<EventBody> {
        let running = |call: &crate::state::CallState| {
            call.call.id == call_id
                && match call.phase {
                    Phase::Running { .. } | Phase::Interrupted { .. } => true,
                    // So it stands in a journal: the result follows the end of the called run.
                    Phase::Child { child, .. } => !self.state.children.iter().any(|open| open.child == child),
                    _ => false,
                }
        };
        if !self.state.calls.iter().any(running) {
            return Vec::new();
        }
        let Bounded { content, is_error, whole } = output;
        let whole: Option<BlobRef> = whole.map(|(reference, bytes)| {
            blobs.push(bytes);
            reference
        });
        vec![EventBody::ToolCallFinished { call_id, content, is_error, whole, duration_ms }]
    }

    fn probed(&mut self, call_id: String, answer: Probed, step: &mut Step) -> Vec<EventBody> {
        self.probing.remove(&call_id);
        let Some(call) = self.state.calls.iter().find(|call| call.call.id == call_id) else { return Vec::new() };
        if !matches!(call.phase, Phase::Interrupted { .. }) {
            return Vec::new();
        }
        match answer {
            Probed::Happened(output) => self.tool_ended(call_id, output, 0, &mut step.blobs),
            Probed::Unknown => vec![EventBody::ToolCallInDoubt { call_id }],
            Probed::DidNotHappen => {
                let (event, action) = planning::start(&self.state, call, EffectClass::Probe);
                step.actions.push(action);
                vec![event]
            }
        }
    }

    fn commanded(&self, command: Command, now: Timestamp) -> Vec<EventBody> {
        match command {
            Command::Cancel { by } if self.state.cancelled_by.is_none() => vec![EventBody::CancelRequested { by }],
            Command::Cancel { .. } => Vec::new(),
            Command::Interrupt { by } => self.interrupted(by, String::new()),
            Command::Answer { approval, digest, ruling } => {
                let fits = |question: &&masque_types::approval::Approval| {
                    question.id == approval
                        && question.digest == digest
                        && question.question.accepts(&ruling.answer)
                        && question.deadline.is_none_or(|deadline| now < deadline)
                };
                match self.state.questions().find(fits) {
                    Some(_) => vec![EventBody::ApprovalDecided { approval, ruling }],
                    None => self.overdue(now),
                }
            }
            // Taken apart before.
            Command::ChildEnded { .. } => Vec::new(),
            _ if !self.state.spec.conversation => Vec::new(),
            Command::Say { parts, by, model } => vec![EventBody::UserSaid { parts, by, model }],
            Command::Finish { by } => vec![EventBody::FinishRequested { by }],
            Command::SetPolicy { mode, narrow, by } => vec![EventBody::PolicyChanged { mode, narrow, by }],
        }
    }

    fn interrupted(&self, by: Actor, partial: String) -> Vec<EventBody> {
        if !self.state.spec.conversation || self.state.turn_over {
            return Vec::new();
        }
        vec![EventBody::InterruptRequested { by, partial }]
    }

    /// Questions whose time is over get the safe default: the call is not made.
    fn overdue(&self, now: Timestamp) -> Vec<EventBody> {
        let deny = || Ruling {
            answer: Answer::Deny { reason: Some("nobody answered in time".to_owned()) },
            by: Actor::System,
            channel: Channel::Timeout,
        };
        self.state
            .questions()
            .filter(|question| !matches!(question.question, Question::InDoubt { .. }))
            .filter(|question| question.deadline.is_some_and(|deadline| deadline <= now))
            .map(|question| EventBody::ApprovalDecided { approval: question.id, ruling: deny() })
            .chain(self.late_children(now))
            .collect()
    }
}

/// A provider may give two calls of one answer the same id; results could not be told apart then.
fn make_ids_unique(calls: &mut [ToolCall]) {
    let mut seen = HashSet::new();
    for (place, call) in calls.iter_mut().enumerate() {
        while !seen.insert(call.id.clone()) {
            call.id = format!("{}_{place}", call.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_one_answer_have_different_ids() {
        let call = |id: &str| ToolCall { id: id.into(), tool: "t".into(), arguments: ().into(), signature: None };
        let mut calls = ["a", "a", "a_1", "a", "b"].map(call);
        make_ids_unique(&mut calls);
        let ids: HashSet<&str> = calls.iter().map(|call| call.id.as_str()).collect();
        assert_eq!(ids.len(), calls.len());
        assert_eq!((calls[0].id.as_str(), calls[4].id.as_str()), ("a", "b"), "what was unique stays");
    }
}
