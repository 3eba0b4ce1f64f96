//! What is kept of jobs and other runs, and how it is deleted: the daily clean-up, pruning by a person, the reset.

use std::time::Duration;

use masque_store::{Expired, Family, JobFilter};
use masque_types::{
    actor::{Actor, Caller, Reach},
    time::Timestamp,
};
use serde_json::json;

use super::{Deleted, JobStatistics};
use crate::{App, Error, audit};

const CLEAN_UP: &str = "jobs.clean_up";
const DAY: Duration = Duration::from_hours(24);
/// So many runs are deleted in one transaction.
const BATCH: usize = 50;
/// A database of this size deserves a word.
const LARGE: u64 = 4 << 30;

impl App {
    /// What is stored about jobs.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn job_statistics(&self) -> Result<JobStatistics, Error> {
        let counts = self.store.count_jobs(&JobFilter::default()).await?;
        let cleaned_up_at = self.store.chore_done_at(CLEAN_UP).await?;
        let overdue = match self.keep_after() {
            Some(before) => jobs_of(&self.store.expired_families(Expired { before, jobs_only: true }).await?),
            None => 0,
        };
        let database_bytes = self.store.database_bytes().await?;
        Ok(JobStatistics {
            database_bytes,
            total: counts.total(),
            pending: counts.pending,
            running: counts.running,
            complete: counts.complete,
            failed: counts.failed,
            cancelled: counts.cancelled,
            oldest: self.store.oldest_job().await?,
            cleaned_up_at,
            next_clean_up: self.keep_after().map(|_| cleaned_up_at.map_or(self.now(), |done| done.plus(DAY))),
            overdue,
            recommendation: recommendation(database_bytes, overdue),
        })
    }

    /// Jobs that ended before are old; none are when all are kept.
    fn keep_after(&self) -> Option<Timestamp> {
        let keep = self.settings.duration("jobs.keep")?;
        Some(before(self.now(), keep))
    }

    /// Deletes all jobs with everything that belongs to them. The audit log stays.
    ///
    /// # Errors
    /// When it is not confirmed, the caller is remote, or jobs have not ended.
    pub async fn reset_jobs(&self, caller: &Caller, confirm: bool) -> Result<Deleted, Error> {
        if caller.reach == Reach::Remote {
            return Err(Error::refused("deleting all jobs is refused to callers from elsewhere")
                .hint("do it on the machine itself: masque runs prune --jobs --older-than 0s"));
        }
        if !confirm {
            return Err(Error::usage("deleting all jobs has to be confirmed").hint("say `confirm: true`"));
        }
        let counts = self.store.count_jobs(&JobFilter::default()).await?;
        let open = counts.pending + counts.running;
        if open > 0 {
            return Err(Error::refused(format!("{open} jobs have not ended"))
                .hint("cancel them first; `masque runs list --jobs` shows them"));
        }
        self.delete(&caller.actor, "job.reset", Expired { before: Timestamp(i64::MAX), jobs_only: true }).await
    }

    /// Deletes the jobs that ended longer ago than `jobs.keep`, if that was not done today; `None` when it was, or when all
    /// are kept.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn clean_up_jobs(&self) -> Result<Option<Deleted>, Error> {
        let Some(old) = self.keep_after() else { return Ok(None) };
        let now = self.now();
        if !self.store.take_chore(CLEAN_UP, now, before(now, DAY)).await? {
            return Ok(None);
        }
        let expired = Expired { before: old, jobs_only: true };
        self.delete(&Actor::System, "job.clean_up", expired).await.map(Some)
    }

    /// Deletes runs that ended longer ago, with what they called and what was forked from them; or jobs only.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn prune_runs(&self, actor: &Actor, older_than: Duration, jobs_only: bool) -> Result<Deleted, Error> {
        let expired = Expired { before: before(self.now(), older_than), jobs_only };
        self.delete(actor, "run.prune", expired).await
    }

    async fn delete(&self, actor: &Actor, action: &str, expired: Expired) -> Result<Deleted, Error> {
        let families = self.store.expired_families(expired).await?;
        let mut deleted = Deleted::default();
        for batch in batches(families) {
            // One that somebody needs by now must not keep the others.
            if !self.delete_batch(actor, action, &batch, &mut deleted).await? && batch.len() > 1 {
                for family in batch {
                    self.delete_batch(actor, action, &[family], &mut deleted).await?;
                }
            }
        }
        deleted.kept = self.store.count_jobs(&JobFilter::default()).await?.total();
        Ok(deleted)
    }

    async fn delete_batch(
        &self,
        actor: &Actor,
        action: &str,
        batch: &[Family],
        deleted: &mut Deleted,
    ) -> Result<bool, Error> {
        let runs: Vec<_> = batch.iter().flat_map(|family| family.runs.iter().copied()).collect();
        let detail = json!({ "runs": runs });
        let entry = audit::entry(self.now(), actor, action, None, format!("{} runs", runs.len()), detail);
        let gone = self.store.delete_runs(runs.clone(), &entry).await?;
        deleted.runs += gone.runs;
        deleted.bytes += gone.bytes;
        if gone.runs > 0 {
            deleted.jobs += jobs_of(batch);
            self.forget_conversations(&runs).await?;
        }
        Ok(gone.runs > 0)
    }
}

fn before(now: Timestamp, time: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
}

fn jobs_of(families: &[Family]) -> u64 {
    families.iter().map(|family| family.jobs).sum()
}

/// Families together, up to a size.
fn batches(families: Vec<Family>) -> Vec<Vec<Family>> {
    let mut batches: Vec<(usize, Vec<Family>)> = Vec::new();
    for family in families {
        let runs = family.runs.len();
        match batches.last_mut() {
            Some((size, batch)) if *size + runs <= BATCH => {
                *size += runs;
                batch.push(family);
            }
            _ => batches.push((runs, vec![family])),
        }
    }
    batches.into_iter().map(|(_, batch)| batch).collect()
}

fn recommendation(bytes: u64, overdue: u64) -> String {
    if overdue > 0 {
        return format!("{overdue} ended jobs are older than jobs.keep: the next clean-up deletes them");
    }
    if bytes > LARGE {
        return "the database is large: keep jobs for a shorter time (jobs.keep), or masque runs prune".to_owned();
    }
    "healthy".to_owned()
}
