//! What a job looks like from outside: what is asked for, and what is told. Plain data.

use std::path::PathBuf;

use masque_types::{
    cost::{Limits, MicroUsd},
    id::{ApprovalId, RunId, Seq},
    job::{JobStatus, JobSummary, Priority, Progress},
    policy::{Mode, Rule},
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A wish for a job.
#[derive(Debug, Clone)]
pub struct Invoke {
    /// The persona's name.
    pub persona: String,
    /// What to do.
    pub task: String,
    /// Material for it: text, code, descriptions. The persona gets it as data, not as instructions.
    pub context: Option<String>,
    /// Files of the workspace whose content goes along in the same way.
    pub files: Vec<String>,
    /// Which jobs are taken first.
    pub priority: Priority,
    /// The directory that the tools work in. It exists and is absolute.
    pub workspace: PathBuf,
    /// The caller's limits; the persona's and the configuration's hold as well.
    pub limits: Limits,
    /// The caller's rules: they can only take away.
    pub ceiling: Vec<Rule>,
    /// The mode that the caller asks for; never wider than the persona's own.
    pub mode: Option<Mode>,
}

impl Invoke {
    /// A job of a persona on a task in a directory, with nothing else said.
    #[must_use]
    pub fn new(persona: impl Into<String>, task: impl Into<String>, workspace: PathBuf) -> Self {
        Self {
            persona: persona.into(),
            task: task.into(),
            context: None,
            files: Vec::new(),
            priority: Priority::Normal,
            workspace,
            limits: Limits::default(),
            ceiling: Vec::new(),
            mode: None,
        }
    }
}

/// A job that was queued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invoked {
    /// The run: its id is the job's.
    pub run: RunId,
    /// The persona.
    pub persona: String,
    /// Which jobs are taken first.
    pub priority: Priority,
    /// How long it may take.
    pub estimate: Estimate,
    /// When it was queued.
    pub created_at: Timestamp,
}

/// How long a job may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// As many jobs take longer as take less.
    pub seconds: u64,
    /// Four of five jobs take less.
    pub most_seconds: u64,
    /// Completed runs of the persona that this was learned from; 0 when it is guessed from the persona's budget.
    pub learned_from: u64,
}

/// What a job is and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobView {
    /// The run: its id is the job's.
    pub run: RunId,
    /// The persona.
    pub persona: String,
    /// The beginning of the task, one line.
    pub task: String,
    /// Where it stands.
    pub status: JobStatus,
    /// Which jobs are taken first.
    pub priority: Priority,
    /// The last event that this was derived from: give it as `since` to be told what comes after it.
    pub seq: Seq,
    /// How far it is.
    pub progress: Progress,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When a worker first took it.
    pub started_at: Option<Timestamp>,
    /// When its last event was written.
    pub updated_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Milliseconds since it was taken (since it was asked for, when it was not), up to its end.
    pub elapsed_ms: u64,
    /// The answer of one that is complete.
    pub result: Option<String>,
    /// The answer as a value, where the persona has an output schema.
    pub structured: Option<Value>,
    /// As much of an answer as one has that failed or was cancelled.
    pub partial_result: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// Tool calls that ended.
    pub tool_calls_made: u32,
    /// Tokens sent to models.
    pub input_tokens: u64,
    /// Tokens that models wrote.
    pub output_tokens: u64,
    /// Money spent.
    pub cost: MicroUsd,
    /// The questions that it waits for, with the command that answers each.
    pub questions: Vec<OpenQuestion>,
    /// When it is worth looking again, in milliseconds; 0 when it has ended.
    pub poll_after_ms: u64,
}

/// A question that a job waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenQuestion {
    /// Its id.
    pub approval: ApprovalId,
    /// What is asked, one line.
    pub question: String,
    /// When the default answer is taken.
    pub deadline: Option<Timestamp>,
    /// The command with which a person answers.
    pub command: String,
}

/// Which jobs to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobQuery {
    /// Only those that stand there.
    pub status: Option<JobStatus>,
    /// Only those of this persona.
    pub persona: Option<String>,
    /// Only those older than this one: the next page.
    pub before: Option<RunId>,
    /// At most so many.
    pub limit: usize,
}

impl Default for JobQuery {
    fn default() -> Self {
        Self { status: None, persona: None, before: None, limit: 10 }
    }
}

/// A page of jobs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Jobs {
    /// The jobs, newest first.
    pub jobs: Vec<JobSummary>,
    /// All that the caller may see.
    pub total: u64,
    /// Those of them that fit the query, on this page or not.
    pub matching: u64,
}

/// What is stored about jobs, and how well.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobStatistics {
    /// What the database takes up, in bytes; space that waits to be used again is left out.
    pub database_bytes: u64,
    /// All jobs.
    pub total: u64,
    /// Those that wait for a worker.
    pub pending: u64,
    /// Those that a worker has, or that wait for a person.
    pub running: u64,
    /// Those that ended with a result.
    pub complete: u64,
    /// Those that ended without.
    pub failed: u64,
    /// Those that were stopped.
    pub cancelled: u64,
    /// When the oldest was asked for.
    pub oldest: Option<Timestamp>,
    /// When jobs were last cleaned up.
    pub cleaned_up_at: Option<Timestamp>,
    /// When they are cleaned up next, if a worker or a server runs then.
    pub next_clean_up: Option<Timestamp>,
    /// Ended jobs that are older than is kept: the next clean-up deletes them.
    pub overdue: u64,
    /// For people: `healthy`, or what to do.
    pub recommendation: String,
}

/// What a deletion did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Deleted {
    /// Jobs that are gone; runs that they called are not counted.
    pub jobs: u64,
    /// Runs that are gone, jobs among them.
    pub runs: u64,
    /// The bytes that they took up, about.
    pub bytes: u64,
    /// Jobs that stay because they have not ended, or because a run that stays was forked from them.
    pub kept: u64,
}
