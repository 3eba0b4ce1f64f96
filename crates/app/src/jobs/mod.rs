//! Use cases over jobs: runs that are queued for a worker, as editors and other programs ask for them.
//!
//! A job is a run. This owns what is added to one: the queue, estimates, progress, looking without polling, clean-up and
//! the workers inside of servers. Leaves out driving, which is the same for all runs.

mod view;

use std::time::Duration;

use masque_types::{
    actor::Caller,
    id::{RunId, Seq},
};

pub use self::view::{Deleted, Estimate, Invoke, Invoked, JobQuery, JobStatistics, JobView, Jobs, OpenQuestion};
use crate::{App, Error};

/// The longest time that [`App::check_job`] waits: clients give up on a request after a minute.
pub const LONGEST_WAIT: Duration = Duration::from_secs(55);

impl App {
    /// Queues a job and returns at once: a worker drives it.
    ///
    /// # Errors
    /// When the persona does not exist or may not be called from there, the task is empty or too large, a file is not one of
    /// the workspace, or no model can be used.
    pub async fn invoke(&self, caller: &Caller, invoke: Invoke) -> Result<Invoked, Error> {
        let _ = (caller, invoke);
        Err(Error::environment("jobs cannot be queued yet"))
    }

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
        let _ = (caller, run, wait, since);
        Err(Error::environment("jobs cannot be looked at yet"))
    }

    /// The job with that id, unique beginning of an id, or `last`; a remote caller finds its own only.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub async fn find_job(&self, caller: &Caller, id: &str) -> Result<RunId, Error> {
        let _ = (caller, id);
        Err(Error::environment("jobs cannot be looked for yet"))
    }

    /// A page of jobs: all for a local caller, a remote one's own.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn jobs(&self, caller: &Caller, query: &JobQuery) -> Result<Jobs, Error> {
        let _ = (caller, query);
        Err(Error::environment("jobs cannot be listed yet"))
    }

    /// Stops a job and keeps its partial result.
    ///
    /// # Errors
    /// When there is no such job, it is not the caller's, or it ended before.
    pub async fn cancel_job(&self, caller: &Caller, run: RunId) -> Result<JobView, Error> {
        let _ = (caller, run);
        Err(Error::environment("jobs cannot be cancelled yet"))
    }

    /// What is stored about jobs.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn job_statistics(&self) -> Result<JobStatistics, Error> {
        Err(Error::environment("jobs cannot be counted yet"))
    }

    /// Deletes all jobs with everything that belongs to them. The audit log stays.
    ///
    /// # Errors
    /// When it is not confirmed, the caller is remote, or jobs have not ended.
    pub async fn reset_jobs(&self, caller: &Caller, confirm: bool) -> Result<Deleted, Error> {
        let _ = (caller, confirm);
        Err(Error::environment("jobs cannot be deleted yet"))
    }

    /// Deletes the jobs that ended longer ago than `jobs.keep`, if that was not done today; `None` when it was.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn clean_up_jobs(&self) -> Result<Option<Deleted>, Error> {
        Err(Error::environment("jobs cannot be cleaned up yet"))
    }
}

/// The workers of one process: they drive queued jobs, several at once, as long as they are not closed.
#[derive(Debug)]
pub struct JobWorkers {
    stop: tokio_util::sync::CancellationToken,
}

impl JobWorkers {
    /// Starts them; `parallel` jobs are driven at a time (setting `jobs.parallel`).
    #[must_use]
    pub fn start(app: &App, parallel: usize) -> Self {
        let _ = (app, parallel);
        Self { stop: tokio_util::sync::CancellationToken::new() }
    }

    /// Stops driving and waits until everything is given back. Jobs that have not ended are left to one process in the
    /// background, which ends with the last of them.
    ///
    /// # Errors
    /// When that process cannot be started.
    pub async fn close(self) -> Result<(), Error> {
        self.stop.cancel();
        Ok(())
    }
}
