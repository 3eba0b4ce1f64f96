//! Scripts: the replies of a scripted model as plain data, read from YAML, or recorded from a run's journal.
//!
//! ```yaml
//! replies:
//!   - text: I look at the files.
//!     calls:
//!       - label: files
//!         tool: fs.list
//!         arguments: { path: . }
//!   - text: |
//!       There are {{ results.files.lines | length }} files.
//! ```
//! Texts and the strings among arguments are Jinja templates over `task`, `step` and `results.<label>` with `text`,
//! `lines` and `is_error`; filters beside Jinja's own: `lines`, `containing`, `before`, `after`, `from_json`. Leaves
//! out giving the replies: [`scripted`](crate::scripted) does.

use std::collections::BTreeMap;

use masque_types::{
    cost::Usage,
    event::{Event, EventBody},
    message::{AssistantMessage, ToolCall},
    model::{Failure, FailureKind, FinishReason},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;

/// A script.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Whether texts and arguments are templates.
    #[serde(default, skip_serializing_if = "Rendering::is_template")]
    pub texts: Rendering,
    /// The replies; the first one answers step 1.
    pub replies: Vec<ScriptReply>,
}

/// Whether texts are filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rendering {
    /// They are templates.
    #[default]
    Template,
    /// They are given as they are: recorded scripts.
    Verbatim,
}

impl Rendering {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    fn is_template(&self) -> bool {
        *self == Self::Template
    }
}

/// One reply.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptReply {
    /// What the model says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// What it shows of its reasoning.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    /// The tools it calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<ScriptCall>,
    /// How long it takes, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay_ms: u64,
    /// What it is counted as; estimated when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Why it stops; `tool_calls` or `stop` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<FinishReason>,
    /// What goes wrong, after the text was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<ScriptFailure>,
    /// For how many steps in a row this reply is given; 1 when absent.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub repeat: u32,
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_one(count: &u32) -> bool {
    *count == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// One call of a reply.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptCall {
    /// The name under which later replies find the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The call's id; made from the step when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The tool's canonical name.
    pub tool: String,
    /// Its arguments.
    #[serde(default = "empty_object")]
    pub arguments: Value,
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}

/// A failure that a reply ends in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptFailure {
    /// Its class.
    pub kind: FailureKind,
    /// What is said about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// How long the provider wants to be left alone, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Script {
    /// Reads a script; `name` stands for it in errors.
    ///
    /// # Errors
    /// When the YAML is broken or a field is unknown or of the wrong type; the error names the line.
    pub fn from_yaml(text: &str, name: &str) -> Result<Self, Error> {
        serde_saphyr::from_str(text).map_err(|error| Error::yaml(name, &error))
    }

    /// Writes the script, so that [`from_yaml`](Self::from_yaml) reads the same again.
    ///
    /// # Errors
    /// When a value has no YAML form.
    pub fn to_yaml(&self) -> Result<String, Error> {
        serde_saphyr::to_string(self).map_err(|error| Error::Write(error.to_string()))
    }
}

/// Records what the models of a run answered, so that the run can be replayed without them.
///
/// Ids, usage and failures are kept; data that only the provider understands is not.
#[must_use]
pub fn record(journal: &[Event]) -> Script {
    let replies: BTreeMap<u32, ScriptReply> = journal
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::ModelCallFinished { step, message, finish, receipt } => {
                Some((*step, answered(message, *finish, receipt.usage)))
            }
            EventBody::ModelCallFailed { step, failure, .. } => Some((*step, failed(failure))),
            _ => None,
        })
        .collect();
    let last = replies.keys().next_back().copied().unwrap_or_default();
    let replies = (1..=last).map(|step| replies.get(&step).cloned().unwrap_or_else(unrecorded)).collect();
    Script { texts: Rendering::Verbatim, replies }
}

fn answered(message: &AssistantMessage, finish: FinishReason, usage: Usage) -> ScriptReply {
    let call = |call: &ToolCall| ScriptCall {
        label: None,
        id: Some(call.id.clone()),
        tool: call.tool.clone(),
        arguments: call.arguments.clone(),
    };
    ScriptReply {
        text: message.text.clone(),
        reasoning: message.reasoning.clone().unwrap_or_default(),
        calls: message.calls.iter().map(call).collect(),
        usage: Some(usage),
        finish: Some(finish),
        repeat: 1,
        ..ScriptReply::default()
    }
}

fn failed(failure: &Failure) -> ScriptReply {
    let Failure { kind, message, retry_after_ms } = failure.clone();
    ScriptReply { failure: Some(ScriptFailure { kind, message, retry_after_ms }), repeat: 1, ..ScriptReply::default() }
}

/// Stands for a step whose end is in no journal: it was lost, and the run stopped.
fn unrecorded() -> ScriptReply {
    failed(&Failure {
        kind: FailureKind::Unavailable,
        message: "the journal holds no answer to this step".to_owned(),
        retry_after_ms: None,
    })
}
