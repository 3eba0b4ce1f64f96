//! Persona jobs: runs that an editor, another program or a schedule asked for, and that wait in a queue for a worker.
//!
//! A job is a run: its id is the run's id, its state a fold of the run's journal. This is what editors see of it. Leaves
//! out queueing, estimating and polling.

use serde::{Deserialize, Serialize};

use crate::{id::RunId, run::RunStatus, time::Timestamp};

/// Which jobs are taken first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// When nothing else waits.
    Low,
    /// In the order in which they came.
    #[default]
    Normal,
    /// Before all others.
    High,
}

/// Where a job stands, in the words of the editors' tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// No worker has taken it.
    Pending,
    /// A worker drives it, or it waits for a person.
    Running,
    /// It ended with a result.
    Complete,
    /// It ended without.
    Failed,
    /// It was stopped; the partial result is kept.
    Cancelled,
}

impl JobStatus {
    /// The job status of a run that was, or was not yet, taken by a worker.
    #[must_use]
    pub const fn of(status: RunStatus, begun: bool) -> Self {
        match status {
            RunStatus::Running if !begun => Self::Pending,
            RunStatus::Running | RunStatus::Waiting => Self::Running,
            RunStatus::Completed => Self::Complete,
            RunStatus::Failed => Self::Failed,
            RunStatus::Cancelled => Self::Cancelled,
        }
    }

    /// Whether nothing more can happen.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Complete | Self::Failed | Self::Cancelled)
    }
}

/// What a job does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It waits for a worker, or its environment is being set up.
    Initializing,
    /// It looks for material: searches, reads.
    Searching,
    /// It works with what it found.
    Analyzing,
    /// It writes its answer.
    Generating,
    /// It waits for a person.
    Waiting,
}

/// How far a job is, derived from its journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Progress {
    /// What it does now.
    pub phase: Phase,
    /// 0 to 100; never falls while the job runs; 100 only when it has ended.
    pub percent_complete: u8,
    /// For people.
    pub message: String,
    /// Estimated seconds to its end, learned from past runs; absent when nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<u64>,
    /// Tool calls that ended.
    pub tool_calls_completed: u32,
}

/// One line of a listing of jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSummary {
    /// The run.
    pub run: RunId,
    /// The persona.
    pub persona: String,
    /// Where it stands.
    pub status: JobStatus,
    /// The beginning of the task, one line.
    pub task: String,
    /// Which jobs are taken first.
    pub priority: Priority,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When a worker first took it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}
