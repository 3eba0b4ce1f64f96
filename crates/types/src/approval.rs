//! A durable question to a human and its answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    actor::{Actor, Channel},
    digest::Digest,
    id::{ApprovalId, RunId},
    time::Timestamp,
};

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Question {
    /// May this call be made? Answered by [`Answer::Approve`] or [`Answer::Deny`].
    ToolCall {
        /// The tool.
        tool: String,
        /// The exact arguments that are approved.
        arguments: Value,
        /// The rule that asked.
        reason: String,
    },
    /// A call of class `once` was interrupted: nobody knows whether it happened. Answered by
    /// [`Answer::Happened`], [`Answer::Retry`] or [`Answer::Abort`].
    InDoubt {
        /// The tool.
        tool: String,
        /// The arguments.
        arguments: Value,
        /// When the call was announced.
        announced_at: Timestamp,
    },
    /// The persona asks something. Answered by [`Answer::Reply`] or [`Answer::Deny`].
    Input {
        /// The question.
        question: String,
        /// Suggested answers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        choices: Vec<String>,
    },
}

impl Question {
    /// The name used in tables and output.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ToolCall { .. } => "tool_call",
            Self::InDoubt { .. } => "in_doubt",
            Self::Input { .. } => "input",
        }
    }

    /// Whether an answer fits the question.
    #[must_use]
    pub const fn accepts(&self, answer: &Answer) -> bool {
        matches!(
            (self, answer),
            (Self::ToolCall { .. }, Answer::Approve | Answer::Deny { .. })
                | (Self::InDoubt { .. }, Answer::Happened { .. } | Answer::Retry | Answer::Abort)
                | (Self::Input { .. }, Answer::Reply { .. } | Answer::Deny { .. })
        )
    }
}

/// A human's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Make the call.
    Approve,
    /// Do not make the call; the model is told why.
    Deny {
        /// For the model.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The interrupted call happened; do not repeat it.
    Happened {
        /// What it returned, as far as known; for the model.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<String>,
    },
    /// The interrupted call did not happen: make it.
    Retry,
    /// Give the run up.
    Abort,
    /// The answer to the persona's question.
    Reply {
        /// The text.
        text: String,
    },
}

impl Answer {
    /// The name used in tables and output.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny { .. } => "deny",
            Self::Happened { .. } => "happened",
            Self::Retry => "retry",
            Self::Abort => "abort",
            Self::Reply { .. } => "reply",
        }
    }
}

/// Who answered, when and over which channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// The answer.
    #[serde(flatten)]
    pub answer: Answer,
    /// Who.
    pub by: Actor,
    /// How.
    pub channel: Channel,
}

/// A question with its state, as the inbox shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// The run that waits.
    pub run: RunId,
    /// The tool call that waits.
    pub call_id: String,
    /// What is asked.
    pub question: Question,
    /// Digest of run, call and arguments: an answer is bound to it.
    pub digest: Digest,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When the default answer is taken; absent means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The answer, once given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ruling: Option<Ruling>,
}

/// How long approvals wait. What happens then is always the safe default: the call is denied; a doubt stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalTerms {
    /// Time to live; absent means for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
}

impl ApprovalTerms {
    /// The deadline of a question asked now.
    #[must_use]
    pub fn deadline(&self, now: Timestamp) -> Option<Timestamp> {
        self.ttl_ms.map(|ttl| now.plus(Duration::from_millis(ttl)))
    }
}
