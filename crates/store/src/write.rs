//! Every kind of write, and how a batch of them becomes one transaction.
//!
//! A batch is tried as a whole. When a part of it fails in a way that may have left something behind, the whole is
//! undone and its parts are done one by one, so that a failed write fails only itself and the usual case pays for no
//! savepoints.

use masque_types::{
    id::{CommandId, Epoch, RunId},
    time::Timestamp,
};

use crate::{
    Error, Faults, audit,
    audit::StoredAudit,
    chores, inbox, journal, lease,
    memory::{self, MemorySession},
    proposals,
    record::Claim,
    retention, tokens,
};

/// One write.
#[derive(Debug)]
pub(crate) enum Write {
    Create(Box<journal::StoredRun>),
    Append(Box<journal::StoredAppend>),
    Claim { run: RunId, request: lease::OwnedClaim },
    ClaimNext(lease::NextRun),
    Renew { run: RunId, epoch: Epoch, until: Timestamp },
    Release { run: RunId, epoch: Epoch },
    Send { id: CommandId, run: RunId, command: String, at: Timestamp },
    Audit(StoredAudit),
    Delete(Box<retention::Deletion>),
    TakeChore(chores::Chore),
    Token(Box<tokens::TokenWrite>),
    Proposals(Box<proposals::Change>),
    Memory(Box<memory::MemoryChange>),
}

/// What a write gave.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Done,
    Claim(Claim),
    ClaimedNext(Option<(RunId, Epoch)>),
    Renewed(bool),
    Deleted(retention::DeletedRuns),
    Changed(bool),
    Memory(memory::MemoryOutcome),
}

impl Write {
    /// The runs that their watchers should look at.
    pub(crate) fn changes(&self) -> impl Iterator<Item = RunId> {
        let (own, append) = match self {
            Self::Create(new) => (Some(new.id()), None),
            Self::Append(append) => (Some(append.run()), Some(append)),
            Self::Send { run, .. } | Self::Release { run, .. } => (Some(*run), None),
            _ => (None, None),
        };
        own.into_iter().chain(append.into_iter().flat_map(|append| append.receivers()))
    }

    async fn apply<S: MemorySession>(&self, session: &S) -> Result<Outcome, Error> {
        match self {
            Self::Create(new) => journal::create(session, new).await.map(|()| Outcome::Done),
            Self::Append(append) => journal::append(session, append).await.map(|()| Outcome::Done),
            Self::Claim { run, request } => lease::claim(session, *run, request).await.map(Outcome::Claim),
            Self::ClaimNext(next) => lease::claim_next(session, next).await.map(Outcome::ClaimedNext),
            Self::Renew { run, epoch, until } => {
                lease::renew(session, *run, *epoch, *until).await.map(Outcome::Renewed)
            }
            Self::Release { run, epoch } => lease::release(session, *run, *epoch).await.map(|()| Outcome::Done),
            Self::Send { id, run, command, at } => {
                inbox::send(session, *id, *run, command, *at).await.map(|()| Outcome::Done)
            }
            Self::Proposals(change) => proposals::apply(session, change).await.map(Outcome::Changed),
            Self::Delete(deletion) => retention::delete(session, deletion).await.map(Outcome::Deleted),
            Self::TakeChore(chore) => chores::take(session, chore).await.map(Outcome::Changed),
            Self::Token(token) => tokens::apply(session, token).await.map(Outcome::Changed),
            Self::Memory(change) => memory::apply(session, change).await.map(Outcome::Memory),
            Self::Audit(entry) => audit::append(session, std::slice::from_ref(entry)).await.map(|()| Outcome::Done),
        }
    }
}

/// Makes a batch durable. Returns one result per write, in order.
pub(crate) async fn commit<S: MemorySession>(
    session: &S,
    batch: &[&Write],
    faults: Option<&Faults>,
) -> Vec<Result<Outcome, Error>> {
    let error = match together(session, batch, faults).await {
        Ok(results) => return results,
        Err(error) => error,
    };
    if batch.len() == 1 || error.concerns_all() {
        return batch.iter().map(|_| Err(error.clone())).collect();
    }
    let mut results = Vec::with_capacity(batch.len());
    for write in batch {
        let alone = together(session, &[write], faults).await;
        results.push(alone.and_then(|mut only| only.pop().unwrap_or(Err(Error::Closed))));
    }
    results
}

/// The whole batch in one transaction: an error means that nothing of it is stored, unless the commit itself failed.
async fn together<S: MemorySession>(
    session: &S,
    batch: &[&Write],
    faults: Option<&Faults>,
) -> Result<Vec<Result<Outcome, Error>>, Error> {
    session.begin().await?;
    let transaction = async {
        let results = apply_all(session, batch).await?;
        faults.map_or(Ok(()), Faults::before_commit)?;
        session.commit(&changed(batch, &results)).await?;
        Ok(results)
    };
    match transaction.await {
        Ok(results) => {
            faults.map_or(Ok(()), Faults::after_commit)?;
            Ok(results)
        }
        Err(error) => {
            session.run_keys().forget();
            if let Err(second) = session.rollback().await {
                tracing::warn!(%error, %second, "undoing a failed transaction failed too");
            }
            Err(error)
        }
    }
}

async fn apply_all<S: MemorySession>(session: &S, batch: &[&Write]) -> Result<Vec<Result<Outcome, Error>>, Error> {
    let mut results = Vec::with_capacity(batch.len());
    for write in batch {
        match write.apply(session).await {
            Err(error) if !error.wrote_nothing() => return Err(error),
            result => results.push(result),
        }
    }
    Ok(results)
}

/// The runs that somebody else may want to look at now.
fn changed(batch: &[&Write], results: &[Result<Outcome, Error>]) -> Vec<RunId> {
    let done = batch.iter().zip(results).filter(|(_, result)| result.is_ok());
    done.flat_map(|(write, _)| write.changes()).collect()
}
