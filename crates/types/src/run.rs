//! A run: its specification, its status, and the commands that reach it from outside.

use serde::{Deserialize, Serialize};

use crate::{
    actor::Actor,
    approval::{ApprovalTerms, Ruling},
    child::Called,
    cost::{Limits, Price, Spend},
    digest::Digest,
    id::{ApprovalId, RunId, Seq},
    message::Part,
    model::Route,
    policy::{Mode, Policy, Rule},
    time::Timestamp,
};

/// Everything that is fixed when a run starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    /// What to do.
    pub task: Vec<Part>,
    /// Which models to ask, and how.
    pub route: Route,
    /// The dearest price on the route: a reservation must hold whichever candidate serves.
    pub price: Price,
    /// Tokens that the conversation may take before it is compacted.
    pub context_tokens: u64,
    /// What the run may use: the tightest of persona, caller and configuration.
    pub limits: Limits,
    /// What the persona may do, with the ceiling of this run.
    pub policy: Policy,
    /// How long questions wait.
    pub approvals: ApprovalTerms,
    /// The directory that the tools work in.
    pub workspace: String,
    /// How tools are confined.
    pub sandbox: SandboxMode,
    /// Who started it.
    pub started_by: Actor,
    /// The run that called this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
    /// How it was called by that run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<Called>,
    /// Whether it is a conversation: a person speaks again after each answer, until the person ends it. Limits of model
    /// calls and time then count from turn to turn.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conversation: bool,
}

/// Whom a run asks, and what follows from that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelChoice {
    /// Which models, and how.
    pub route: Route,
    /// The dearest price on the route.
    pub price: Price,
    /// Tokens that the conversation may take before it is compacted.
    pub context_tokens: u64,
}

/// How a run's sandboxed tools are confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SandboxMode {
    /// Namespaces, seccomp and limits on this machine.
    Process,
    /// A container of Podman or Docker.
    Container,
    /// Not at all: asked for by name, shown in every listing.
    None,
}

impl SandboxMode {
    /// The name used in tables and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Container => "container",
            Self::None => "none",
        }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Something can be done: a worker drives it, or may claim it.
    Running,
    /// Nothing can be done before a human answers or speaks, or a called run ends.
    Waiting,
    /// It ended with a result.
    Completed,
    /// It ended without.
    Failed,
    /// It was stopped; the partial result is kept.
    Cancelled,
}

impl RunStatus {
    /// Whether nothing more can happen.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The name used in tables and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the name back.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Running, Self::Waiting, Self::Completed, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

/// An instruction to a run from outside. It waits in the run's inbox until a worker takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Answers a question.
    Answer {
        /// Which question.
        approval: ApprovalId,
        /// The digest of the call as the human saw it: an answer to anything else is void.
        digest: Digest,
        /// The answer.
        ruling: Ruling,
    },
    /// Stops the run and keeps what it has.
    Cancel {
        /// Who wants it.
        by: Actor,
    },
    /// The person's next words in a conversation. During a turn they join it.
    Say {
        /// The words.
        parts: Vec<Part>,
        /// Who.
        by: Actor,
        /// The models to ask from here on, where they change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<Box<ModelChoice>>,
    },
    /// Stops the turn of a conversation; the run waits for the next words.
    Interrupt {
        /// Who wants it.
        by: Actor,
    },
    /// Ends a conversation with its last answer as the result.
    Finish {
        /// Who wants it.
        by: Actor,
    },
    /// A called run ended. Sent once, with its last event.
    ChildEnded {
        /// The called run.
        child: RunId,
        /// Where it stands.
        status: RunStatus,
        /// Its answer, or as much as there is of one.
        text: String,
        /// Why there is no answer, for people and models.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
        /// What it used.
        spend: Spend,
    },
    /// Changes what a conversation may do from here on.
    SetPolicy {
        /// The mode, where it changes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<Mode>,
        /// Rules that join the ceiling: they only take away.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        narrow: Vec<Rule>,
        /// Who wants it.
        by: Actor,
    },
}

/// One line of a run listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Its id.
    pub id: RunId,
    /// The persona's name.
    pub persona: String,
    /// The beginning of the task, one line.
    pub title: String,
    /// Where it stands.
    pub status: RunStatus,
    /// How its tools are confined.
    pub sandbox: SandboxMode,
    /// What it used.
    pub spend: Spend,
    /// The last event.
    pub last_seq: Seq,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its last event was written.
    pub updated_at: Timestamp,
    /// The run and event that it was forked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<(RunId, Seq)>,
    /// The run that called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
    /// Whether it is a conversation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conversation: bool,
}
