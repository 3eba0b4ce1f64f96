//! What tools tell about jobs: the shapes that editors know, as plain data.

use std::collections::BTreeMap;

use masque_app::jobs::{self, Invoked, JobView};
use masque_types::{
    job::{JobStatus, JobSummary, Progress},
    time::Timestamp,
};
use schemars::JsonSchema;
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// How long a call should wait for news, in seconds: shorter than any client's patience.
const USUAL_WAIT_S: u64 = 25;

/// A job that was queued, or what came of it when the call waited.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Started {
    /// `started`.
    pub(crate) status: &'static str,
    /// The job: give it to `check_persona_job`.
    pub(crate) job_id: String,
    /// The persona that works on it.
    pub(crate) persona: String,
    /// How long it may take; half of the jobs take longer.
    pub(crate) estimated_duration_seconds: u64,
    /// How to look at it.
    pub(crate) poll_command: String,
    /// For people.
    pub(crate) message: String,
    /// Where it stands after waiting, if the call waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<Job>,
}

impl Started {
    pub(crate) fn of(invoked: &Invoked, job: Option<&JobView>) -> Self {
        let learned = match invoked.estimate.learned_from {
            0 => "a guess".to_owned(),
            runs => format!("learned from {runs} runs"),
        };
        let seconds = invoked.estimate.seconds;
        Self {
            status: "started",
            job_id: invoked.run.to_string(),
            persona: invoked.persona.clone(),
            estimated_duration_seconds: seconds,
            poll_command: format!("check_persona_job('{}', wait_s={USUAL_WAIT_S})", invoked.run),
            message: format!("{} has started; it may take {seconds} s ({learned})", invoked.persona),
            job: job.map(Job::of),
        }
    }
}

/// Where a job stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Job {
    /// `pending`, `running`, `complete`, `failed` or `cancelled`.
    pub(crate) status: JobStatus,
    /// The job.
    pub(crate) job_id: String,
    /// The persona.
    pub(crate) persona: String,
    /// How far it is; absent when it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Progress>,
    /// Seconds since it was taken, while it runs and when it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_seconds: Option<u64>,
    /// Its answer, when it is complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    /// Its answer as a value, where the persona promises one.
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_result: Option<serde_json::Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// As much of an answer as there is, when it failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    partial_result: Option<String>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<u64>,
    /// Tool calls that it made, when it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls_made: Option<u32>,
    /// What it used, when it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_used: Option<Tokens>,
    /// Questions that it waits for. Only a person can answer them, with the command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    questions: Vec<Question>,
    /// How to look again; absent when it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    poll_command: Option<String>,
}

/// Tokens of a job.
#[derive(Debug, Serialize, JsonSchema)]
struct Tokens {
    /// Sent to models.
    input: u64,
    /// Written by models.
    output: u64,
}

/// A question that a job waits for.
#[derive(Debug, Serialize, JsonSchema)]
struct Question {
    /// What is asked.
    question: String,
    /// The command with which a person answers.
    command: String,
}

impl Job {
    pub(crate) fn of(view: &JobView) -> Self {
        let ended = view.status.is_final();
        let questions = view.questions.iter();
        let seconds = view.elapsed_ms.div_ceil(1000);
        let failed = view.status == JobStatus::Failed;
        Self {
            status: view.status,
            job_id: view.run.to_string(),
            persona: view.persona.clone(),
            progress: (!ended).then(|| view.progress.clone()),
            elapsed_seconds: (!ended || failed).then_some(seconds),
            result: view.result.clone(),
            structured_result: view.structured.clone(),
            error: view.error.clone(),
            partial_result: view.partial_result.clone(),
            duration_seconds: ended.then_some(seconds),
            tool_calls_made: ended.then_some(view.tool_calls_made),
            tokens_used: ended.then_some(Tokens { input: view.input_tokens, output: view.output_tokens }),
            questions: questions
                .map(|open| Question { question: open.question.clone(), command: open.command.clone() })
                .collect(),
            poll_command: (!ended).then(|| format!("check_persona_job('{}', wait_s={USUAL_WAIT_S})", view.run)),
        }
    }
}

/// A page of jobs, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Listing {
    /// The jobs.
    jobs: Vec<Line>,
    /// All jobs that can be seen.
    total_count: u64,
    /// Those of them that fit the filters.
    filtered_count: u64,
}

/// One job of a page.
#[derive(Debug, Serialize, JsonSchema)]
struct Line {
    /// The job.
    job_id: String,
    /// The persona.
    persona: String,
    /// Where it stands.
    status: JobStatus,
    /// The beginning of the task.
    task: String,
    /// When it was asked for, RFC 3339.
    created_at: String,
    /// How long it took, or has taken by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<u64>,
}

impl Listing {
    pub(crate) fn of(page: &jobs::Jobs, now: Timestamp) -> Self {
        let line = |job: &JobSummary| Line {
            job_id: job.run.to_string(),
            persona: job.persona.clone(),
            status: job.status,
            task: job.task.clone(),
            created_at: rfc3339(job.created_at),
            duration_seconds: job.started_at.map(|start| job.ended_at.unwrap_or(now).since(start).as_secs()),
        };
        Self { jobs: page.jobs.iter().map(line).collect(), total_count: page.total, filtered_count: page.matching }
    }
}

/// A job that was cancelled.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Cancelled {
    /// `cancelled`; a job that has just ended keeps its end.
    status: JobStatus,
    /// The job.
    job_id: String,
    /// As much of an answer as it had.
    partial_result: Option<String>,
    /// For people.
    message: String,
}

impl Cancelled {
    pub(crate) fn of(view: &JobView) -> Self {
        let seconds = view.elapsed_ms / 1000;
        Self {
            status: view.status,
            job_id: view.run.to_string(),
            partial_result: view.partial_result.clone().or_else(|| view.result.clone()),
            message: format!("the job is {} after {seconds} s", word(view.status)),
        }
    }
}

/// What is stored about jobs.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Statistics {
    /// What the database takes up.
    database_size_mb: f64,
    /// All jobs.
    total_jobs: u64,
    /// How many stand where.
    jobs_by_status: BTreeMap<&'static str, u64>,
    /// Age of the oldest one.
    oldest_job_days: Option<f64>,
    /// When old jobs are deleted next, RFC 3339.
    next_cleanup: Option<String>,
    /// `healthy`, or what to do.
    cleanup_recommendation: String,
}

impl Statistics {
    pub(crate) fn of(statistics: &jobs::JobStatistics, now: Timestamp) -> Self {
        let days = |oldest: Timestamp| rounded(now.since(oldest).as_secs_f64() / 86_400.0);
        Self {
            database_size_mb: megabytes(statistics.database_bytes),
            total_jobs: statistics.total,
            jobs_by_status: BTreeMap::from([
                ("pending", statistics.pending),
                ("running", statistics.running),
                ("complete", statistics.complete),
                ("failed", statistics.failed),
                ("cancelled", statistics.cancelled),
            ]),
            oldest_job_days: statistics.oldest.map(days),
            next_cleanup: statistics.next_clean_up.map(rfc3339),
            cleanup_recommendation: statistics.recommendation.clone(),
        }
    }
}

/// What a deletion of all jobs did.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Reset {
    /// `reset`.
    status: &'static str,
    /// Jobs that are gone.
    jobs_deleted: u64,
    /// The space that they took up.
    space_freed_mb: f64,
    /// For people.
    message: String,
}

impl Reset {
    pub(crate) fn of(deleted: &jobs::Deleted) -> Self {
        let message = match deleted.kept {
            0 => "all jobs are deleted; the audit log stays".to_owned(),
            kept => format!("{} jobs are deleted, {kept} stay; the audit log stays too", deleted.jobs),
        };
        Self { status: "reset", jobs_deleted: deleted.jobs, space_freed_mb: megabytes(deleted.bytes), message }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a size for people, rounded")]
fn megabytes(bytes: u64) -> f64 {
    rounded(bytes as f64 / 1_000_000.0)
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The status as tools name it.
pub(crate) const fn word(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Pending => "pending",
        JobStatus::Running => "running",
        JobStatus::Complete => "complete",
        JobStatus::Failed => "failed",
        JobStatus::Cancelled => "cancelled",
    }
}

/// A time as programs read it; empty for one that no calendar has.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}
