//! Calls from one persona to another: what is asked for, what is reserved for it, and where the called run comes from.
//!
//! A called persona works in a run of its own, in its own environment. Leaves out who may call whom, which the caller's
//! file and the engine decide, and the package that carries the task, which is the persona crate's.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{digest::Digest, event::BlobRef, id::RunId, time::Timestamp};

/// The tool that asks another persona and goes on with its answer.
pub const CALL: &str = "agent.call";
/// The tool that leaves the task to another persona, whose answer becomes the run's own.
pub const HANDOFF: &str = "agent.handoff";
/// How many calls of a persona may be under way at once when its file does not say.
pub const DEFAULT_PARALLEL: u32 = 4;
/// How many generations there may be below a persona when its file does not say.
pub const DEFAULT_DEPTH: u32 = 1;

/// The arguments of [`CALL`] and [`HANDOFF`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentCall {
    /// The name of the persona.
    pub persona: String,
    /// What it is to do, with all that it needs to know: it does not see this conversation.
    pub task: String,
    /// The form of the result.
    #[serde(default)]
    pub expect: ResultForm,
    /// For `structured`: the JSON Schema of the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// For `file`: the path in the workspace that the result is to be written to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What of this conversation goes with the task.
    #[serde(default)]
    pub history: HistoryShare,
    /// Files of the workspace that belong to the task.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<String>,
    /// Seconds after which the call is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub timeout_s: Option<u64>,
    /// Whether to wait for the result, or to go on and be told when it is there.
    #[serde(default)]
    pub mode: CallMode,
}

impl AgentCall {
    /// What the caller wants back, as the package says it.
    #[must_use]
    pub fn expected(&self) -> Expected {
        match self.expect {
            ResultForm::Text => Expected::Text,
            ResultForm::Structured => Expected::Structured { schema: self.schema.clone().unwrap_or(Value::Bool(true)) },
            ResultForm::File => Expected::File { path: self.path.clone().unwrap_or_default() },
        }
    }

    /// What is wrong with arguments that satisfy the schema.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        match self.expect {
            ResultForm::Structured if self.schema.is_none() => Some("`expect: structured` needs `schema`"),
            ResultForm::File if self.path.is_none() => Some("`expect: file` needs `path`"),
            _ if self.task.trim().is_empty() => Some("`task` is empty"),
            _ => None,
        }
    }

    /// When the call is given up.
    #[must_use]
    pub fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        self.timeout_s.map(|seconds| now.plus(Duration::from_secs(seconds)))
    }
}

/// The form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResultForm {
    /// Text.
    #[default]
    Text,
    /// JSON that satisfies a schema.
    Structured,
    /// A file of the workspace.
    File,
}

/// What a caller wants back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "snake_case")]
pub enum Expected {
    /// Text.
    #[default]
    Text,
    /// JSON that satisfies a schema.
    Structured {
        /// The schema.
        schema: Value,
    },
    /// A file of the workspace.
    File {
        /// Its path.
        path: String,
    },
}

/// What of the caller's conversation goes with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistoryShare {
    /// Nothing: only the task.
    #[default]
    None,
    /// An outline.
    Summary,
    /// The last messages, as many as fit.
    Recent,
}

/// Whether the caller waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallMode {
    /// The call has the result.
    #[default]
    Blocking,
    /// The call has the run's id; the result comes later as a message.
    Async,
}

/// How a run that called another one takes the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildMode {
    /// As the result of the call.
    Blocking,
    /// As a message, when it is there.
    Async,
    /// As its own result.
    Handoff,
}

/// Why a called run was told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildStop {
    /// Its time is over.
    Timeout,
    /// The caller ended, or its turn was stopped.
    Caller,
}

/// Where a called run comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Called {
    /// The caller's call.
    pub call_id: String,
    /// Who called whom up to here, from the first persona on.
    pub lineage: Vec<Ancestor>,
    /// How many generations there may still be below this run.
    pub depth_left: u32,
    /// The package that carried the task.
    pub package: BlobRef,
}

/// One persona in the line of callers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    /// Its run.
    pub run: RunId,
    /// Its name.
    pub persona: String,
    /// The digest of what it was loaded from.
    pub digest: Digest,
}

/// The run of a call: the same call of the same run is always the same run. It sorts with the runs of its time.
#[must_use]
pub fn child_run(parent: RunId, call_id: &str, at: Timestamp) -> RunId {
    let digest = Digest::of_parts([parent.to_string().as_bytes(), call_id.as_bytes(), &at.0.to_be_bytes()]);
    RunId::derive_at(at, &digest)
}
