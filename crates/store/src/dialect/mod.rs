//! Where the two databases differ: opening, errors, parameters, the claim of the next run, and wake-ups.

/// Takes the next run that can be worked on: worker, now, until → id, epoch.
macro_rules! claim_next {
    ($queued:literal, $locking:literal) => {
        concat!(
            "UPDATE runs SET epoch = epoch + 1, lease_previous = lease_worker, lease_worker = $1, lease_until = $3 ",
            "WHERE run_key = (SELECT run_key FROM runs WHERE ",
            $queued,
            "status IN ('running', 'waiting') AND (lease_worker IS NULL OR lease_until <= $2) ",
            "AND (status = 'running' OR wake_at <= $2 OR EXISTS (SELECT 1 FROM inbox ",
            "WHERE inbox.run_key = runs.run_key AND NOT inbox.consumed)) ORDER BY priority DESC, id LIMIT 1",
            $locking,
            ") RETURNING id, epoch"
        )
    };
}

pub(crate) mod postgres;
pub(crate) mod sqlite;
