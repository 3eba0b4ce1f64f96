//! Jobs: what the store keeps of a queued run beside the run itself; claiming, listing and counting them.
//!
//! Leaves out what a job means, and deleting (`retention.rs`).

use masque_types::{
    digest::Digest,
    id::{Epoch, RunId},
    job::{JobStatus, JobSummary, Priority},
    run::RunSummary,
    time::Timestamp,
};

use crate::{
    Error, Store,
    lease::NextRun,
    record::Lease,
    runs::{self, run_columns},
    session::Session,
    value::{Row, Value, without_nul},
    write::{Outcome, Write},
};

/// What makes a new run a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJob {
    /// Who asked for it.
    pub principal: String,
    /// Whether it was asked for over a network connection.
    pub remote: bool,
    /// Which jobs are taken first.
    pub priority: Priority,
    /// The directory that its tools work in.
    pub workspace: String,
    /// SHA-256 of the material that came with the task.
    pub context: Option<Digest>,
    /// How long it is expected to take.
    pub estimate_ms: u64,
}

/// A job as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredJob {
    /// The run.
    pub run: RunSummary,
    /// What was said when it was queued.
    pub new: NewJob,
    /// When a worker first took it.
    pub started_at: Option<Timestamp>,
}

impl StoredJob {
    /// Where it stands.
    #[must_use]
    pub const fn status(&self) -> JobStatus {
        JobStatus::of(self.run.status, self.started_at.is_some())
    }

    /// When it ended.
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.run.status.is_final().then_some(self.run.updated_at)
    }

    /// One line of a listing.
    #[must_use]
    pub fn summary(&self) -> JobSummary {
        JobSummary {
            run: self.run.id,
            persona: self.run.persona.clone(),
            status: self.status(),
            task: self.run.title.clone(),
            priority: self.new.priority,
            created_at: self.run.created_at,
            started_at: self.started_at,
            ended_at: self.ended_at(),
        }
    }
}

/// Whose jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum JobScope {
    /// All.
    #[default]
    All,
    /// Those that were asked for on this machine.
    Local,
    /// Those of one principal that asked over a network connection.
    Remote(String),
}

/// Which jobs to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFilter {
    /// Whose.
    pub scope: JobScope,
    /// Only those that stand there.
    pub status: Option<JobStatus>,
    /// Only those of this persona.
    pub persona: Option<String>,
    /// Only those older than this one: the next page.
    pub before: Option<RunId>,
    /// At most so many.
    pub limit: usize,
}

impl Default for JobFilter {
    fn default() -> Self {
        Self { scope: JobScope::All, status: None, persona: None, before: None, limit: 100 }
    }
}

/// How many jobs stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JobCounts {
    /// Those that no worker has taken.
    pub pending: u64,
    /// Those that a worker has, or that wait for a person.
    pub running: u64,
    /// Those that ended with a result.
    pub complete: u64,
    /// Those that ended without.
    pub failed: u64,
    /// Those that were stopped.
    pub cancelled: u64,
}

impl JobCounts {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.pending + self.running + self.complete + self.failed + self.cancelled
    }
}

impl Store {
    /// Takes the lease of the job that is next, or of a run that a job called: by priority, then by age.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn claim_next_job(
        &self,
        worker: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<(RunId, Epoch)>, Error> {
        let next = NextRun { worker: without_nul(worker).into_owned(), now, until, queued_only: true };
        match self.write(Write::ClaimNext(next)).await? {
            Outcome::ClaimedNext(claimed) => Ok(claimed),
            _ => Err(crate::store::mixed_up()),
        }
    }

    /// The runs of the queue that a worker holds, oldest first.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn job_leases(&self) -> Result<Vec<(RunId, Lease)>, Error> {
        self.reader().query(LEASES, Vec::new()).await?.into_iter().map(read_lease).collect()
    }

    /// Whether a run of the queue has not ended.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn has_open_jobs(&self) -> Result<bool, Error> {
        Ok(!self.reader().query(ANY_OPEN, Vec::new()).await?.is_empty())
    }

    /// One job; `None` when there is no such run, or it is no job.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn job(&self, run: RunId) -> Result<Option<StoredJob>, Error> {
        let row = self.reader().query(ONE, vec![run.to_string().into()]).await?.into_iter().next();
        row.map(read).transpose()
    }

    /// Lists jobs, newest first.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn jobs(&self, filter: &JobFilter) -> Result<Vec<StoredJob>, Error> {
        let mut params = filter_params(filter);
        params.push(filter.limit.into());
        self.reader().query(LIST, params).await?.into_iter().map(read).collect()
    }

    /// How many jobs fit a filter; its page and its limit do not count.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn count_jobs(&self, filter: &JobFilter) -> Result<JobCounts, Error> {
        let filter = JobFilter { before: None, ..filter.clone() };
        let mut counts = JobCounts::default();
        for mut row in self.reader().query(COUNT, filter_params(&filter)).await? {
            let (status, count) = (row.text()?, row.count()?);
            match status.as_str() {
                "pending" => counts.pending = count,
                "running" => counts.running = count,
                "completed" => counts.complete = count,
                "failed" => counts.failed = count,
                _ => counts.cancelled = count,
            }
        }
        Ok(counts)
    }

    /// When the oldest job was asked for.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn oldest_job(&self) -> Result<Option<Timestamp>, Error> {
        let row = self.reader().query(OLDEST, Vec::new()).await?.into_iter().next();
        row.map(|mut row| row.time()).transpose()
    }

    /// How long the newest completed runs of a persona took from their first claim to their end, in milliseconds,
    /// newest first. Conversations are left out.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn run_durations(&self, persona: &str, newest: usize) -> Result<Vec<u64>, Error> {
        let params = vec![persona.to_owned().into(), newest.into()];
        let rows = self.reader().query(DURATIONS, params).await?;
        rows.into_iter().map(|mut row| Ok(u64::try_from(row.int()?).unwrap_or(0))).collect()
    }

    /// What the database takes up, in bytes. In a file, pages that wait to be used again are left out.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn database_bytes(&self) -> Result<u64, Error> {
        let row = self.reader().query(self.reader().size_query(), Vec::new()).await?.into_iter().next();
        row.map_or(Ok(0), |mut row| row.count())
    }
}

/// The name of each status in [`LIST`] and [`COUNT`].
const fn status_name(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Pending => "pending",
        JobStatus::Running => "running",
        JobStatus::Complete => "completed",
        JobStatus::Failed => "failed",
        JobStatus::Cancelled => "cancelled",
    }
}

macro_rules! status {
    () => {
        "CASE WHEN status = 'running' AND started_at IS NULL THEN 'pending' \
         WHEN status IN ('running', 'waiting') THEN 'running' ELSE status END"
    };
}

macro_rules! matching {
    () => {
        concat!(
            "FROM jobs JOIN runs ON runs.run_key = jobs.run_key WHERE id < $1 ",
            "AND (CAST($2 AS TEXT) IS NULL OR reach = $2) AND (CAST($3 AS TEXT) IS NULL OR principal = $3) ",
            "AND (CAST($4 AS TEXT) IS NULL OR persona = $4) AND (CAST($5 AS TEXT) IS NULL OR ",
            status!(),
            " = $5) "
        )
    };
}

macro_rules! columns {
    () => {
        concat!("SELECT ", run_columns!(), ", principal, reach, priority, workspace, context, estimate_ms, started_at ")
    };
}

const ONE: &str = concat!(columns!(), "FROM jobs JOIN runs ON runs.run_key = jobs.run_key WHERE id = $1");
const LIST: &str = concat!(columns!(), matching!(), "ORDER BY id DESC LIMIT $6");
const COUNT: &str = concat!("SELECT ", status!(), ", count(*) ", matching!(), "GROUP BY 1");
const OLDEST: &str =
    "SELECT created_at FROM jobs JOIN runs ON runs.run_key = jobs.run_key ORDER BY jobs.run_key LIMIT 1";
const ANY_OPEN: &str = "SELECT id FROM runs WHERE queued AND status IN ('running', 'waiting') LIMIT 1";
const LEASES: &str = "SELECT id, lease_worker, epoch, lease_until FROM runs \
     WHERE queued AND status IN ('running', 'waiting') AND lease_worker IS NOT NULL ORDER BY id";
const DURATIONS: &str = "SELECT updated_at - coalesce(started_at, created_at) FROM runs \
     LEFT JOIN jobs ON jobs.run_key = runs.run_key \
     WHERE persona = $1 AND status = 'completed' AND NOT conversation ORDER BY id DESC LIMIT $2";
const INSERT: &str = "INSERT INTO jobs (run_key, principal, reach, workspace, context, estimate_ms) \
     VALUES ($1, $2, $3, $4, $5, $6)";
const STARTED: &str = "UPDATE jobs SET started_at = $2 WHERE started_at IS NULL \
     AND run_key = (SELECT run_key FROM runs WHERE id = $1)";

const LOCAL: &str = "local";
const REMOTE: &str = "remote";

fn filter_params(filter: &JobFilter) -> Vec<Value<'static>> {
    let (reach, principal) = match &filter.scope {
        JobScope::All => (None, None),
        JobScope::Local => (Some(LOCAL), None),
        JobScope::Remote(principal) => (Some(REMOTE), Some(principal.clone())),
    };
    vec![
        filter.before.map_or_else(|| runs::AFTER_ALL.to_owned(), |run| run.to_string()).into(),
        reach.map(str::to_owned).into(),
        principal.into(),
        filter.persona.clone().into(),
        filter.status.map(|status| status_name(status).to_owned()).into(),
    ]
}

fn read(mut row: Row) -> Result<StoredJob, Error> {
    let run = runs::read_summary(&mut row)?;
    let new = NewJob {
        principal: row.text()?,
        remote: row.text()? == REMOTE,
        priority: read_priority(row.int()?),
        workspace: row.text()?,
        context: row.optional_bytes()?.and_then(|bytes| Digest::from_bytes(&bytes)),
        estimate_ms: row.count()?,
    };
    Ok(StoredJob { run, new, started_at: row.optional_int()?.map(Timestamp) })
}

fn read_lease(mut row: Row) -> Result<(RunId, Lease), Error> {
    let (run, worker, epoch) = (row.parsed()?, row.text()?, row.count()?);
    Ok((run, Lease { worker, epoch, until: Timestamp(row.optional_int()?.unwrap_or(0)) }))
}

/// The number by which the queue sorts.
pub(crate) const fn priority_number(priority: Priority) -> i64 {
    match priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
    }
}

const fn read_priority(number: i64) -> Priority {
    match number {
        ..=0 => Priority::Low,
        1 => Priority::Normal,
        2.. => Priority::High,
    }
}

pub(crate) async fn insert<S: Session>(session: &S, run_key: i64, job: &NewJob) -> Result<(), Error> {
    let params = [
        run_key.into(),
        Value::Text(without_nul(&job.principal)),
        if job.remote { REMOTE } else { LOCAL }.into(),
        Value::Text(without_nul(&job.workspace)),
        job.context.as_ref().into(),
        job.estimate_ms.into(),
    ];
    session.execute(INSERT, &params).await.map(|_changed| ())
}

/// Notes when a run was first taken, if it is a job.
pub(crate) async fn started<S: Session>(session: &S, run: RunId, epoch: Epoch, at: Timestamp) -> Result<(), Error> {
    if epoch == 1 {
        session.execute(STARTED, &[run.to_string().into(), at.into()]).await?;
    }
    Ok(())
}
