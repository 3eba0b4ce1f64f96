//! Looking at jobs: where one stands, waiting for something new, listing them, stopping one.

use std::{sync::Arc, time::Duration};

use masque_store::{JobFilter, JobScope, StoredJob};
use masque_types::{
    actor::{Caller, Reach},
    approval::{Approval, Question},
    cost::Limits,
    id::{RunId, Seq},
    job::{JobStatus, Phase, Progress},
};
use tokio::time::{Instant, timeout_at};

use super::{
    JobQuery, JobView, Jobs, LONGEST_WAIT, OpenQuestion, estimate,
    progress::{End, Story},
};
use crate::{App, Error, runs::clipped};

/// How soon it is worth looking again.
const POLL_SOON: u64 = 2_000;
const POLL_LATER: u64 = 5_000;
const POLL_FOR_PEOPLE: u64 = 30_000;
/// A question of a called run tells nothing to those who watch its caller.
const LOOK_FOR_QUESTIONS: Duration = Duration::from_secs(2);

/// What of a view is new to somebody when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    status: JobStatus,
    phase: Phase,
    percent: u8,
    message: String,
    questions: usize,
}

impl Shown {
    fn of(view: &JobView) -> Self {
        Self {
            status: view.status,
            phase: view.progress.phase,
            percent: view.progress.percent_complete,
            message: view.progress.message.clone(),
            questions: view.questions.len(),
        }
    }
}

impl App {
    /// Where a job stands. Returns at once when something is new to the caller: there are events after `since`, or,
    /// without `since`, the job looks otherwise than when this process last showed it to the caller. Otherwise waits for
    /// that, at most so long ([`LONGEST_WAIT`] at the most).
    ///
    /// # Errors
    /// When there is no such job, or it is not the caller's.
    pub async fn check_job(
        &self,
        caller: &Caller,
        run: RunId,
        wait: Duration,
        since: Option<Seq>,
    ) -> Result<JobView, Error> {
        let deadline = Instant::now() + wait.min(LONGEST_WAIT);
        let key = (caller.actor.to_string(), run);
        let before = self.jobs.shown.get(&key);
        // Made before the first look, so that nothing is missed in between.
        let mut watch = (!wait.is_zero()).then(|| self.store.watch(run));
        let view = loop {
            let view = self.look(caller, run).await?;
            let is_new = match since {
                Some(since) => view.seq > since,
                None => before.as_ref() != Some(&Shown::of(&view)),
            };
            let Some(watch) = watch.as_mut().filter(|_| !is_new && !view.status.is_final()) else { break view };
            if Instant::now() >= deadline {
                break view;
            }
            let until = if view.progress.phase == Phase::Waiting || since.is_none() {
                deadline.min(Instant::now() + LOOK_FOR_QUESTIONS)
            } else {
                deadline
            };
            let _again = timeout_at(until, watch.changed()).await;
        };
        self.jobs.shown.set(key, Shown::of(&view));
        Ok(view)
    }

    /// The job with that id, unique beginning of an id, or `last`; a remote caller finds its own only.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub async fn find_job(&self, caller: &Caller, id: &str) -> Result<RunId, Error> {
        if id == "last" {
            let newest = JobFilter { scope: scope(caller), limit: 1, ..JobFilter::default() };
            let newest = self.store.jobs(&newest).await?.into_iter().next();
            return newest.map(|job| job.run.id).ok_or_else(|| Error::usage("there are no jobs yet"));
        }
        let candidates = match id.parse() {
            Ok(run) => vec![run],
            Err(_) => self.store.find_runs(id).await?,
        };
        let mut own = Vec::new();
        for run in candidates {
            if self.store.job(run).await?.is_some_and(|job| may_see(caller, &job)) {
                own.push(run);
            }
        }
        match own.as_slice() {
            [one] => Ok(*one),
            [] => Err(no_such(id)),
            _ => Err(Error::usage(format!("`{id}` is the beginning of several job ids"))),
        }
    }

    /// A page of jobs: a remote caller's own; for a local one all that were asked for on this machine.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn jobs(&self, caller: &Caller, query: &JobQuery) -> Result<Jobs, Error> {
        let scope = scope(caller);
        let filter = JobFilter {
            scope: scope.clone(),
            status: query.status,
            persona: query.persona.clone(),
            before: query.before,
            limit: query.limit,
        };
        let jobs = self.store.jobs(&filter).await?;
        let total = self.store.count_jobs(&JobFilter { scope, ..JobFilter::default() }).await?.total();
        let matching = self.store.count_jobs(&filter).await?.total();
        Ok(Jobs { jobs: jobs.iter().map(StoredJob::summary).collect(), total, matching })
    }

    /// Stops a job and keeps its partial result.
    ///
    /// # Errors
    /// When there is no such job, it is not the caller's, or it ended before.
    pub async fn cancel_job(&self, caller: &Caller, run: RunId) -> Result<JobView, Error> {
        self.visible_job(caller, run).await?;
        self.cancel(&caller.actor, run).await?;
        self.look(caller, run).await
    }

    async fn visible_job(&self, caller: &Caller, run: RunId) -> Result<StoredJob, Error> {
        let job = self.store.job(run).await?;
        job.filter(|job| may_see(caller, job)).ok_or_else(|| no_such(&run.to_string()))
    }

    async fn look(&self, caller: &Caller, run: RunId) -> Result<JobView, Error> {
        let job = self.visible_job(caller, run).await?;
        let story = self.story(&job).await?;
        let questions = if job.status().is_final() || (story.questions.is_empty() && !waits(&job)) {
            Vec::new()
        } else {
            self.approvals_of_tree(run).await?.iter().map(open_question).collect()
        };
        let durations = self.durations(&job.run.persona).await?;
        Ok(view(self.now(), &job, &story, questions, &durations))
    }

    /// What the journal of a job tells; only what came since it was last read is read.
    async fn story(&self, job: &StoredJob) -> Result<Arc<Story>, Error> {
        let run = job.run.id;
        let known = self.jobs.stories.get(&run).unwrap_or_default();
        if known.seq >= job.run.last_seq {
            return Ok(known);
        }
        let mut story = (*known).clone();
        story.take(&self.store.journal(run, story.seq).await?);
        let story = Arc::new(story);
        self.jobs.stories.set(run, Arc::clone(&story));
        Ok(story)
    }
}

fn waits(job: &StoredJob) -> bool {
    job.run.status == masque_types::run::RunStatus::Waiting
}

fn no_such(id: &str) -> Error {
    Error::usage(format!("there is no job `{id}`"))
}

fn scope(caller: &Caller) -> JobScope {
    match caller.reach {
        Reach::Local => JobScope::Local,
        Reach::Remote => JobScope::Remote(caller.actor.to_string()),
    }
}

fn may_see(caller: &Caller, job: &StoredJob) -> bool {
    caller.reach == Reach::Local || (job.new.remote && job.new.principal == caller.actor.to_string())
}

/// The question in one line, with the command that answers it.
fn open_question(approval: &Approval) -> OpenQuestion {
    let (question, answer) = match &approval.question {
        Question::ToolCall { tool, arguments, .. } => (format!("May it call {tool} {arguments}?"), ""),
        Question::InDoubt { tool, arguments, .. } => {
            (format!("Did the interrupted call of {tool} {arguments} happen?"), " --happened")
        }
        Question::Input { question, .. } => (question.clone(), " --reply TEXT"),
    };
    OpenQuestion {
        approval: approval.id,
        question: clipped(&question, 300),
        deadline: approval.deadline,
        command: format!("masque approvals approve {}{answer}", approval.id),
    }
}

fn view(
    now: masque_types::time::Timestamp,
    job: &StoredJob,
    story: &Story,
    questions: Vec<OpenQuestion>,
    durations: &[u64],
) -> JobView {
    let status = job.status();
    let until = job.ended_at().unwrap_or(now);
    let elapsed = until.since(job.started_at.unwrap_or(job.run.created_at));
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    let (result, structured, partial_result, error) = ended(story);
    JobView {
        run: job.run.id,
        persona: job.run.persona.clone(),
        task: job.run.title.clone(),
        status,
        priority: job.new.priority,
        seq: story.seq,
        progress: progress(job, story, &questions, elapsed_ms, durations),
        created_at: job.run.created_at,
        started_at: job.started_at,
        updated_at: job.run.updated_at,
        ended_at: job.ended_at(),
        elapsed_ms,
        result,
        structured,
        partial_result,
        error,
        tool_calls_made: story.tool_calls,
        input_tokens: job.run.spend.usage.input_tokens,
        output_tokens: job.run.spend.usage.output_tokens,
        cost: job.run.spend.micro_usd,
        poll_after_ms: poll_after(status, &questions),
        questions,
    }
}

fn progress(
    job: &StoredJob,
    story: &Story,
    questions: &[OpenQuestion],
    elapsed_ms: u64,
    durations: &[u64],
) -> Progress {
    let status = job.status();
    let (phase, message) = match (status, questions) {
        (JobStatus::Pending, _) => (Phase::Initializing, "Waiting for a worker".to_owned()),
        (JobStatus::Running, []) if story.tool_calls == 0 && story.percent == 0 => {
            (Phase::Initializing, "Setting up the environment".to_owned())
        }
        (JobStatus::Running, [first, ..]) => {
            (Phase::Waiting, format!("Waiting for a person: {} ({})", first.question, first.command))
        }
        _ => (story.phase, story.message.clone()),
    };
    let learned = estimate::estimate(durations, &Limits::default());
    let expected = super::Estimate { seconds: (job.new.estimate_ms / 1_000).max(1), ..learned };
    let expected = if learned.learned_from > 0 { learned } else { expected };
    let eta_seconds = (!status.is_final() && questions.is_empty()).then(|| match status {
        JobStatus::Pending => expected.seconds,
        _ => estimate::left(&expected, elapsed_ms, story.percent),
    });
    Progress { phase, percent_complete: story.percent, message, eta_seconds, tool_calls_completed: story.tool_calls }
}

type Ended = (Option<String>, Option<serde_json::Value>, Option<String>, Option<String>);

/// Result, result as a value, partial result and error.
fn ended(story: &Story) -> Ended {
    let partial = |partial: &String| {
        let text = if partial.is_empty() { &story.text } else { partial };
        (!text.is_empty()).then(|| text.clone())
    };
    match &story.end {
        None => (None, None, None, None),
        Some(End::Completed { text, output }) => (Some(text.clone()), output.clone(), None, None),
        Some(End::Failed { message, partial: left }) => (None, None, partial(left), Some(message.clone())),
        Some(End::Cancelled { partial: left }) => (None, None, partial(left), None),
    }
}

const fn poll_after(status: JobStatus, questions: &[OpenQuestion]) -> u64 {
    match status {
        JobStatus::Complete | JobStatus::Failed | JobStatus::Cancelled => 0,
        _ if !questions.is_empty() => POLL_FOR_PEOPLE,
        JobStatus::Pending => POLL_SOON,
        JobStatus::Running => POLL_LATER,
    }
}
