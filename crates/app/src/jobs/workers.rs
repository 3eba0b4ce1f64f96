//! Workers of jobs: inside of a server, or as a process in the background. They claim queued jobs as they come and drive
//! several at once. Of all processes over one store exactly one drives each job: its lease says which.

use std::{sync::Arc, time::Duration};

use masque_engine::driver::{Driven, Progress, WhenWaiting};
use masque_store::{Claim, ClaimRequest, Watch};
use masque_types::{
    id::{Epoch, RunId},
    time::Timestamp,
};
use rustix::fs::{FlockOperation, flock};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    App, Error,
    runs::{Drive, worker_name},
    worker,
};

/// Each event of any run may be work: the queue is looked at no more often than this.
const PACE: Duration = Duration::from_millis(20);
/// How often a worker looks whether jobs are to be cleaned up, or the memory curated.
const CLEAN_UP_LOOK: Duration = Duration::from_secs(600);

/// The workers of one process: they drive queued jobs, several at once, as long as they are not closed.
pub struct JobWorkers {
    app: Arc<App>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl JobWorkers {
    /// Starts them; `parallel` jobs are driven at a time (setting `jobs.parallel`). 0 leaves all to other processes. They
    /// also curate the memory as often as the setting `memory.curate_every` says.
    #[must_use]
    pub fn start(app: &App, parallel: usize) -> Self {
        let mut workers = Self::driving(app, parallel);
        if parallel > 0 && app.settings.duration("memory.curate_every").is_some() {
            workers.tasks.spawn(curate(Arc::clone(&workers.app), workers.stop.clone()));
        }
        workers
    }

    /// Those that drive jobs and nothing else.
    fn driving(app: &App, parallel: usize) -> Self {
        let (app, stop) = (Arc::new(app.handle()), CancellationToken::new());
        let mut tasks = JoinSet::new();
        if parallel > 0 {
            tasks.spawn(dispatch(Arc::clone(&app), parallel, stop.clone()));
        }
        Self { app, stop, tasks }
    }

    /// Stops driving and waits until everything is given back. Jobs that have not ended are left to one process in the
    /// background, which ends with the last of them.
    ///
    /// # Errors
    /// When that process cannot be started, or the store cannot be read.
    pub async fn close(self) -> Result<(), Error> {
        let (app, drove) = (Arc::clone(&self.app), !self.tasks.is_empty());
        self.stop().await;
        if drove && app.store.has_open_jobs().await? {
            app.background(&["worker", "--jobs"], "jobs")?;
        }
        Ok(())
    }

    async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl App {
    /// Drives jobs until none is left or `stop` is asked for. At most one process of a home does so: `false` when another
    /// one does already, which will see every job that is queued now.
    ///
    /// # Errors
    /// When the store or the lock fails.
    pub async fn work_jobs(&self, stop: CancellationToken) -> Result<bool, Error> {
        let directory = self.host.home.join("logs");
        fs_err::create_dir_all(&directory)?;
        let lock = fs_err::OpenOptions::new().create(true).append(true).open(directory.join("jobs.lock"))?;
        loop {
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
                return Ok(false);
            }
            let workers = JobWorkers::driving(self, self.parallel_jobs());
            let waited = self.await_last_job(&stop).await;
            workers.stop().await;
            flock(&lock, FlockOperation::Unlock).map_err(std::io::Error::from)?;
            waited?;
            // Whoever was turned away by the lock until now left its jobs before it asked.
            if stop.is_cancelled() || !self.store.has_open_jobs().await? {
                return Ok(true);
            }
        }
    }

    /// How many jobs a process drives that is there for nothing else.
    #[must_use]
    pub fn parallel_jobs(&self) -> usize {
        usize::try_from(self.settings.count("jobs.parallel").unwrap_or(4)).unwrap_or(usize::MAX).max(1)
    }

    async fn await_last_job(&self, stop: &CancellationToken) -> Result<(), Error> {
        let mut watch = self.store.watch_any();
        while !stop.is_cancelled() && self.store.has_open_jobs().await? {
            tokio::select! {
                () = pause(&mut watch, self.lease() / 2) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// The next job that can go on, with its lease. What a worker that died on this machine held goes on first.
    async fn claim_job(&self) -> Result<Option<Claimed>, Error> {
        let (now, worker) = (self.now(), worker_name());
        let until = now.plus(self.lease());
        for (run, lease) in self.store.job_leases().await? {
            if lease.until <= now || !worker::is_dead(&lease.worker) {
                continue;
            }
            let request = ClaimRequest { worker: &worker, now, until, dead_worker: Some(&lease.worker) };
            if let Claim::Granted { epoch, .. } = self.store.claim(run, request).await? {
                return Ok(Some(Claimed { run, epoch, until, worker }));
            }
        }
        let claimed = self.store.claim_next_job(&worker, now, until).await?;
        Ok(claimed.map(|(run, epoch)| Claimed { run, epoch, until, worker }))
    }

    async fn drive_job(&self, claimed: Claimed, stop: CancellationToken) {
        let run = claimed.run;
        let quiet = |_: Progress<'_>| {};
        let drive =
            Drive { when_waiting: &|_| WhenWaiting::Park, between_turns: WhenWaiting::Park, observe: &quiet, stop };
        match self.drive_claim(run, (claimed.epoch, claimed.until), claimed.worker, drive).await {
            Ok(Driven::LeaseLost) => tracing::warn!(%run, "another worker took the job over"),
            Ok(_) => {}
            // Its lease runs out by and by, so that it does not stand in the way of others meanwhile.
            Err(error) => tracing::warn!(%run, %error, "a job cannot be driven here"),
        }
    }
}

/// A job that this process holds.
struct Claimed {
    run: RunId,
    epoch: Epoch,
    until: Timestamp,
    worker: String,
}

async fn dispatch(app: Arc<App>, parallel: usize, stop: CancellationToken) {
    let mut drives = JoinSet::new();
    let mut watch = app.store.watch_any();
    let mut cleaned: Option<Instant> = None;
    while !stop.is_cancelled() {
        while drives.len() < parallel && !stop.is_cancelled() {
            match app.claim_job().await {
                Ok(Some(claimed)) => {
                    let (app, stop) = (Arc::clone(&app), stop.clone());
                    drives.spawn(async move { app.drive_job(claimed, stop).await });
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "cannot look for jobs");
                    break;
                }
            }
        }
        if cleaned.is_none_or(|cleaned| cleaned.elapsed() >= CLEAN_UP_LOOK) {
            cleaned = Some(Instant::now());
            clean_up(&app).await;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            Some(_) = drives.join_next(), if !drives.is_empty() => {}
            // Leases run out without anything being written.
            () = pause(&mut watch, app.lease() / 2), if drives.len() < parallel => {}
        }
    }
    while drives.join_next().await.is_some() {}
}

async fn clean_up(app: &App) {
    match app.clean_up_jobs().await {
        Ok(Some(deleted)) if deleted.runs > 0 => tracing::info!(runs = deleted.runs, "old jobs were cleaned up"),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "old jobs cannot be cleaned up"),
    }
}

async fn curate(app: Arc<App>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match app.curate_when_due(&stop).await {
            Ok(Some(curated)) => tracing::info!(groups = curated.groups.len(), "the memory was curated"),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the memory cannot be curated"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(CLEAN_UP_LOOK) => {}
        }
    }
}

/// Waits until something may have changed, at most so long, and a moment in any case.
async fn pause(watch: &mut Watch, most: Duration) {
    tokio::time::sleep(PACE).await;
    let _again = tokio::time::timeout(most, watch.changed()).await;
}
