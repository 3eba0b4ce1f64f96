//! The journal's events. A run's state is a fold of them; they are only appended.
//!
//! Stored as JSON with a version per event. [`decode`] reads every version that was ever released; golden files in
//! `tests/golden/` hold one journal of each.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    actor::Actor,
    approval::{Question, Ruling},
    child::{ChildMode, ChildStop},
    cost::{Limits, MicroUsd, Spend, Usage},
    digest::Digest,
    id::{ApprovalId, Epoch, RunId, Seq},
    message::{AssistantMessage, Part, ToolCall},
    model::{Failure, FinishReason, Receipt, Route},
    persona::Persona,
    policy::{Mode, Rule},
    run::{ModelChoice, RunSpec, RunStatus},
    time::Timestamp,
    tool::{EffectClass, ToolSpec},
};

/// The version that new events are written in.
pub const EVENT_VERSION: u32 = 1;

/// One event of a run's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Position in the journal, from 1, without gaps.
    pub seq: Seq,
    /// The lease under which it was written.
    pub epoch: Epoch,
    /// When it was written; never before the event in front of it.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventBody {
    /// The run exists. Always the first event.
    RunCreated {
        /// What is fixed for the run.
        spec: Box<RunSpec>,
    },
    /// The persona version that the run stays with.
    PersonaPinned {
        /// The persona.
        persona: Box<Persona>,
    },
    /// The tools that the run stays with, after the persona's filter.
    ToolsPinned {
        /// The tools, in the order shown to the model.
        tools: Vec<ToolSpec>,
    },
    /// A run was branched off here: what stands before belongs to the parent.
    Forked {
        /// The parent.
        parent: RunId,
        /// The parent's last event that belongs to this run too.
        parent_seq: Seq,
        /// Effects that the parent had after that event and that are not undone: `tool` and call id.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        effects_after: Vec<(String, String)>,
        /// What the user adds to the conversation here.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        instruction: Vec<Part>,
        /// The models to ask from here on, where they are not the parent's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        route: Option<Route>,
    },
    /// A worker took over after another one stopped in the middle.
    Recovered {
        /// The worker.
        worker: String,
    },
    /// A model is about to be asked; the reservation counts until the call ends.
    ModelCallStarted {
        /// Which call of the run, from 1.
        step: u32,
        /// Messages sent.
        messages: u32,
        /// Tokens reserved: the estimated input and the largest answer.
        reserved_tokens: u64,
        /// Money reserved.
        reserved_micro_usd: MicroUsd,
    },
    /// The model answered.
    ModelCallFinished {
        /// Which call.
        step: u32,
        /// The answer.
        message: AssistantMessage,
        /// Why it stopped.
        finish: FinishReason,
        /// What was asked, tried, served and paid.
        receipt: Receipt,
    },
    /// The model call failed on every candidate.
    ModelCallFailed {
        /// Which call.
        step: u32,
        /// Why.
        failure: Failure,
        /// What was tried.
        receipt: Receipt,
    },
    /// The process died during the call, which is made again, or the run was stopped during it. The reservation stays
    /// spent, for the call may be billed.
    ModelCallLost {
        /// Which call.
        step: u32,
        /// What stays counted.
        usage: Usage,
        /// What stays counted.
        micro_usd: MicroUsd,
    },
    /// A tool call is about to be made. Committed before it happens.
    ToolCallStarted {
        /// The call.
        call_id: String,
        /// What a crash from here on means.
        effect: EffectClass,
        /// From 1.
        attempt: u32,
    },
    /// A tool call ended; a failure of the tool is a result too.
    ToolCallFinished {
        /// The call.
        call_id: String,
        /// What the model sees.
        content: Vec<Part>,
        /// Whether the tool failed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
        /// The whole result, when the model sees only a part of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        whole: Option<BlobRef>,
        /// How long it took.
        duration_ms: u64,
    },
    /// A tool call was not made; the model is told why.
    ToolCallRefused {
        /// The call.
        call_id: String,
        /// Why.
        reason: Refusal,
        /// For the model.
        message: String,
    },
    /// A call was interrupted and nobody knows whether it happened: one of class `once`, or one that the end of the run
    /// cut off.
    ToolCallInDoubt {
        /// The call.
        call_id: String,
    },
    /// A human is asked.
    ApprovalRequested {
        /// The question's id.
        approval: ApprovalId,
        /// The call that waits.
        call_id: String,
        /// The question.
        question: Question,
        /// What the answer is bound to.
        digest: Digest,
        /// When the default answer is taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// The question is answered.
    ApprovalDecided {
        /// The question.
        approval: ApprovalId,
        /// The answer.
        ruling: Ruling,
    },
    /// The conversation was shortened to fit its budget. Task, decisions and recent turns stay.
    ContextCompacted {
        /// Messages, from the start of the conversation, whose tool results were cut to a line.
        elided: u32,
        /// Messages, from after the task on, that were replaced by `summary`.
        dropped: u32,
        /// What stands in their place; empty when nothing was dropped.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        summary: String,
        /// Estimated tokens before.
        tokens_before: u64,
        /// Estimated tokens after.
        tokens_after: u64,
    },
    /// The final answer did not satisfy the persona's output schema; the model gets one chance to repair it.
    OutputRejected {
        /// What was wrong, for the model.
        errors: Vec<String>,
    },
    /// Someone wants the run stopped.
    CancelRequested {
        /// Who.
        by: Actor,
    },
    /// Another persona is called, in a run of its own. Committed before that run exists.
    ChildStarted {
        /// The call.
        call_id: String,
        /// The called run.
        child: RunId,
        /// Its persona.
        persona: String,
        /// The package that carries the task.
        package: BlobRef,
        /// How its result is taken.
        mode: ChildMode,
        /// Tokens and money that it may use; reserved until it ended.
        #[serde(default, skip_serializing_if = "Limits::is_empty")]
        reserved: Limits,
        /// When the call is given up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<Timestamp>,
    },
    /// A called run is told to stop; nobody waits for its result any more.
    ChildCancelled {
        /// The called run.
        child: RunId,
        /// Why.
        reason: ChildStop,
    },
    /// A called run ended. The only event that says so.
    ChildEnded {
        /// The called run.
        child: RunId,
        /// Where it stands.
        status: RunStatus,
        /// What it used; counts for the caller too.
        spend: Spend,
        /// What the model is told, when no call waits for the result.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        note: Vec<Part>,
    },
    /// The model's answer ended a turn of a conversation, or the turn could not go on. The run waits for the person's next
    /// words. Calls that were not settled are given up.
    TurnEnded {
        /// The answer, or as much as there is of one.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
        /// Why the turn could not go on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<TurnFailure>,
        /// Calls that had begun and whose outcome is unknown.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        interrupted: Vec<String>,
    },
    /// The person's next words in a conversation.
    UserSaid {
        /// The words.
        parts: Vec<Part>,
        /// Who.
        by: Actor,
        /// The models to ask from here on, where they change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<Box<ModelChoice>>,
    },
    /// Someone wants the turn of a conversation stopped.
    InterruptRequested {
        /// Who.
        by: Actor,
        /// What the model had said so far in the call that is cut off.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        partial: String,
    },
    /// Someone wants a conversation to end with its last answer.
    FinishRequested {
        /// Who.
        by: Actor,
    },
    /// What a conversation may do was changed by a person.
    PolicyChanged {
        /// The mode from here on, where it changed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<Mode>,
        /// Rules that joined the ceiling.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        narrow: Vec<Rule>,
        /// Who.
        by: Actor,
    },
    /// The run ended with a result.
    RunCompleted {
        /// The answer as text.
        text: String,
        /// The answer as data, when the persona has an output schema.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Value>,
        /// What it used.
        spend: Spend,
    },
    /// The run ended without a result.
    RunFailed {
        /// Why.
        reason: FailReason,
        /// For people.
        message: String,
        /// The last text of the model, if any.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        partial: String,
        /// What it used.
        spend: Spend,
    },
    /// The run was stopped.
    RunCancelled {
        /// The last text of the model, if any.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        partial: String,
        /// Calls that had begun and whose outcome is unknown.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        interrupted: Vec<String>,
        /// What it used.
        spend: Spend,
    },
}

/// Why a turn of a conversation could not go on. The conversation itself can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnFailure {
    /// Why.
    pub reason: FailReason,
    /// For people.
    pub message: String,
}

/// A stored body, by digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRef {
    /// SHA-256 of the bytes.
    pub digest: Digest,
    /// How many bytes.
    pub bytes: u64,
}

/// Why a tool call was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The policy denies it.
    Policy,
    /// The tool does not exist for the persona.
    UnknownTool,
    /// The arguments do not satisfy the tool's schema.
    BadArguments,
    /// The same call with the same arguments was made too often.
    Loop,
    /// The persona that was to be called cannot be, or not from here.
    NotCallable,
}

/// Why a run failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailReason {
    /// No candidate of the route answered.
    Model,
    /// A limit would be passed.
    Limit,
    /// The model repeats itself.
    Loop,
    /// The answer does not satisfy the output schema, also after the repair.
    Output,
    /// The answer was cut off by the output limit, or filtered.
    Incomplete,
    /// A human gave up an interrupted call.
    Aborted,
    /// The environment could not be set up: sandbox, tools, MCP servers.
    Environment,
}

impl FailReason {
    /// The name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Limit => "limit",
            Self::Loop => "loop",
            Self::Output => "output",
            Self::Incomplete => "incomplete",
            Self::Aborted => "aborted",
            Self::Environment => "environment",
        }
    }
}

impl EventBody {
    /// The `type` under which the event is stored.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::RunCreated { .. } => "run_created",
            Self::PersonaPinned { .. } => "persona_pinned",
            Self::ToolsPinned { .. } => "tools_pinned",
            Self::Forked { .. } => "forked",
            Self::Recovered { .. } => "recovered",
            Self::ModelCallStarted { .. } => "model_call_started",
            Self::ModelCallFinished { .. } => "model_call_finished",
            Self::ModelCallFailed { .. } => "model_call_failed",
            Self::ModelCallLost { .. } => "model_call_lost",
            Self::ToolCallStarted { .. } => "tool_call_started",
            Self::ToolCallFinished { .. } => "tool_call_finished",
            Self::ToolCallRefused { .. } => "tool_call_refused",
            Self::ToolCallInDoubt { .. } => "tool_call_in_doubt",
            Self::ApprovalRequested { .. } => "approval_requested",
            Self::ApprovalDecided { .. } => "approval_decided",
            Self::ContextCompacted { .. } => "context_compacted",
            Self::OutputRejected { .. } => "output_rejected",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::ChildStarted { .. } => "child_started",
            Self::ChildCancelled { .. } => "child_cancelled",
            Self::ChildEnded { .. } => "child_ended",
            Self::TurnEnded { .. } => "turn_ended",
            Self::UserSaid { .. } => "user_said",
            Self::InterruptRequested { .. } => "interrupt_requested",
            Self::FinishRequested { .. } => "finish_requested",
            Self::PolicyChanged { .. } => "policy_changed",
            Self::RunCompleted { .. } => "run_completed",
            Self::RunFailed { .. } => "run_failed",
            Self::RunCancelled { .. } => "run_cancelled",
        }
    }

    /// The call that the event is about.
    #[must_use]
    pub fn call_id(&self) -> Option<&str> {
        match self {
            Self::ToolCallStarted { call_id, .. }
            | Self::ToolCallFinished { call_id, .. }
            | Self::ToolCallRefused { call_id, .. }
            | Self::ToolCallInDoubt { call_id }
            | Self::ChildStarted { call_id, .. }
            | Self::ApprovalRequested { call_id, .. } => Some(call_id),
            _ => None,
        }
    }

    /// The calls that a model's answer asks for.
    #[must_use]
    pub fn calls(&self) -> &[ToolCall] {
        match self {
            Self::ModelCallFinished { message, .. } => &message.calls,
            _ => &[],
        }
    }
}

/// A stored event that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer Masque.
    #[error("the event has version {found}, this Masque reads up to {EVENT_VERSION}: install a newer Masque")]
    Newer {
        /// The version found.
        found: u32,
    },
    /// The stored text is not the JSON of an event.
    #[error("the stored event is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
}

/// Reads a stored event body of any released version.
///
/// # Errors
/// When the version is newer than this build, or the text is damaged.
pub fn decode(version: u32, body: &str) -> Result<EventBody, DecodeError> {
    match version {
        EVENT_VERSION => Ok(serde_json::from_str(body)?),
        found => Err(DecodeError::Newer { found }),
    }
}
