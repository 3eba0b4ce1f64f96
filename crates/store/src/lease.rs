//! Who works on a run: claims, which raise the fencing token, renewals and releases.

use masque_types::{
    id::{Epoch, RunId},
    time::Timestamp,
};

use crate::{
    Error, jobs,
    record::{Claim, ClaimRequest, Lease},
    session::Session,
    store::Reader,
    value::without_nul,
};

/// A [`ClaimRequest`] that owns its texts.
#[derive(Debug)]
pub(crate) struct OwnedClaim {
    worker: String,
    now: Timestamp,
    until: Timestamp,
    dead_worker: Option<String>,
}

impl From<ClaimRequest<'_>> for OwnedClaim {
    fn from(request: ClaimRequest<'_>) -> Self {
        Self {
            worker: without_nul(request.worker).into_owned(),
            now: request.now,
            until: request.until,
            dead_worker: request.dead_worker.map(|worker| without_nul(worker).into_owned()),
        }
    }
}

const CLAIM: &str = "UPDATE runs SET epoch = epoch + 1, lease_previous = lease_worker, lease_worker = $2, \
     lease_until = $4 WHERE id = $1 AND (lease_worker IS NULL OR lease_until <= $3 OR lease_worker = $5) \
     RETURNING epoch, lease_previous";
const HOLDER: &str = "SELECT lease_worker, epoch, lease_until FROM runs WHERE id = $1";
const RENEW: &str = "UPDATE runs SET lease_until = $3 WHERE id = $1 AND epoch = $2 AND lease_worker IS NOT NULL";
const RELEASE: &str = "UPDATE runs SET lease_worker = NULL, lease_until = NULL WHERE id = $1 AND epoch = $2";

/// One conditional update: of two that race, one finds the other's lease.
pub(crate) async fn claim<S: Session>(session: &S, run: RunId, request: &OwnedClaim) -> Result<Claim, Error> {
    let id = run.to_string();
    let params = [
        id.as_str().into(),
        request.worker.as_str().into(),
        request.now.into(),
        request.until.into(),
        request.dead_worker.as_deref().into(),
    ];
    loop {
        if let Some(mut row) = session.query_one(CLAIM, &params).await? {
            let (epoch, previous) = (row.count()?, row.optional_text()?);
            jobs::started(session, run, epoch, request.now).await?;
            return Ok(Claim::Granted { epoch, previous });
        }
        let mut row = session.query_one(HOLDER, &[id.as_str().into()]).await?.ok_or(Error::NoSuchRun { run })?;
        let (worker, _epoch, until) = (row.optional_text()?, row.count()?, row.optional_int()?);
        // Without a holder the lease was released in between: it is asked for again.
        if let (Some(worker), Some(until)) = (worker, until) {
            return Ok(Claim::Held { worker, until: Timestamp(until) });
        }
    }
}

/// A wish to work on whatever is next.
#[derive(Debug)]
pub(crate) struct NextRun {
    pub(crate) worker: String,
    pub(crate) now: Timestamp,
    pub(crate) until: Timestamp,
    /// Only jobs, and runs that they called.
    pub(crate) queued_only: bool,
}

/// Takes the next run that can be worked on, by priority, then by age.
pub(crate) async fn claim_next<S: Session>(session: &S, next: &NextRun) -> Result<Option<(RunId, Epoch)>, Error> {
    let sql = if next.queued_only { S::CLAIM_NEXT_QUEUED } else { S::CLAIM_NEXT };
    let params = [next.worker.as_str().into(), next.now.into(), next.until.into()];
    let Some(mut row) = session.query_one(sql, &params).await? else { return Ok(None) };
    let (run, epoch) = (row.parsed()?, row.count()?);
    jobs::started(session, run, epoch, next.now).await?;
    Ok(Some((run, epoch)))
}

/// Extends a lease; false when it is no longer the run's.
pub(crate) async fn renew<S: Session>(session: &S, run: RunId, epoch: Epoch, until: Timestamp) -> Result<bool, Error> {
    session.execute(RENEW, &[run.to_string().into(), epoch.into(), until.into()]).await.map(|changed| changed == 1)
}

/// Gives a lease back; nothing happens when it is no longer the run's.
pub(crate) async fn release<S: Session>(session: &S, run: RunId, epoch: Epoch) -> Result<(), Error> {
    session.execute(RELEASE, &[run.to_string().into(), epoch.into()]).await.map(|_changed| ())
}

/// The lease of a run, expired or not; none when it is free or the run does not exist.
pub(crate) async fn holder(reader: &Reader, run: RunId) -> Result<Option<Lease>, Error> {
    let Some(mut row) = reader.query(HOLDER, vec![run.to_string().into()]).await?.into_iter().next() else {
        return Ok(None);
    };
    let (worker, epoch, until) = (row.optional_text()?, row.count()?, row.optional_int()?);
    Ok(worker.zip(until).map(|(worker, until)| Lease { worker, epoch, until: Timestamp(until) }))
}
