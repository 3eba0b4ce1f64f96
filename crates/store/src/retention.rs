//! Deleting runs with everything that belongs to them. The audit log stays.
//!
//! Runs that called each other, and forks with what they were forked from, are a family: they read each other's journals and
//! bodies, so a family is deleted as a whole or not at all, and only when all of it has ended. Leaves out which families
//! are old enough: callers say so.

use std::collections::HashMap;

use masque_types::{digest::Digest, id::RunId, time::Timestamp};

use crate::{
    Error, Store,
    audit::{self, StoredAudit},
    journal::read_status,
    record::NewAudit,
    session::Session,
    value::Row,
    write::{Outcome, Write},
};

/// Which families of runs may be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// Only those whose runs all ended before.
    pub before: Timestamp,
    /// Only jobs with what they called: a family that a person started something in stays.
    pub jobs_only: bool,
}

/// Runs that belong together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Family {
    /// All of them.
    pub runs: Vec<RunId>,
    /// How many of them are jobs.
    pub jobs: u64,
}

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeletedRuns {
    /// How many runs: none, or all that were named.
    pub runs: u64,
    /// What their events and bodies took up, in bytes.
    pub bytes: u64,
}

impl Store {
    /// The families that may be deleted.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn expired_families(&self, expired: Expired) -> Result<Vec<Family>, Error> {
        let rows = self.reader().query(MEMBERS, Vec::new()).await?;
        let members: Vec<Member> = rows.into_iter().map(Member::read).collect::<Result<_, _>>()?;
        Ok(families(&members, expired))
    }

    /// Deletes a family. Nothing is deleted, and no audit entry is written, when one of its runs has not ended, or a run
    /// outside of it was called by one of its runs or forked from one.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn delete_runs(&self, runs: Vec<RunId>, audit: &NewAudit) -> Result<DeletedRuns, Error> {
        match self.write(Write::Delete(Box::new(Deletion { runs, audit: StoredAudit::prepare(audit) }))).await? {
            Outcome::Deleted(deleted) => Ok(deleted),
            _ => Err(crate::store::mixed_up()),
        }
    }
}

const MEMBERS: &str = "SELECT id, parent, forked_from, status, updated_at, jobs.run_key IS NOT NULL FROM runs \
     LEFT JOIN jobs ON jobs.run_key = runs.run_key";

/// A run as one of a family.
#[derive(Debug, Clone)]
struct Member {
    run: RunId,
    parent: Option<RunId>,
    forked_from: Option<RunId>,
    ended_at: Option<Timestamp>,
    job: bool,
}

impl Member {
    fn read(mut row: Row) -> Result<Self, Error> {
        let (run, parent, forked_from) = (row.parsed()?, row.optional_parsed()?, row.optional_parsed()?);
        let (status, updated_at) = (read_status(&row.text()?)?, row.time()?);
        Ok(Self { run, parent, forked_from, ended_at: status.is_final().then_some(updated_at), job: row.truth()? })
    }

    fn may_go(&self, expired: Expired) -> bool {
        let ended = self.ended_at.is_some_and(|ended| ended < expired.before);
        ended && (!expired.jobs_only || self.job || self.parent.is_some())
    }
}

/// The families all of whose members may go, in the order of their first members.
fn families(members: &[Member], expired: Expired) -> Vec<Family> {
    let places: HashMap<RunId, usize> = members.iter().enumerate().map(|(place, member)| (member.run, place)).collect();
    let mut roots: Vec<usize> = (0..members.len()).collect();
    for (place, member) in members.iter().enumerate() {
        for relative in [member.parent, member.forked_from].into_iter().flatten() {
            if let Some(relative) = places.get(&relative) {
                join(&mut roots, place, *relative);
            }
        }
    }
    let mut found: Vec<Option<Family>> = vec![Some(Family::default()); members.len()];
    for (place, member) in members.iter().enumerate() {
        let root = root_of(&roots, place);
        let Some(entry) = found.get_mut(root) else { continue };
        match entry {
            Some(family) if member.may_go(expired) => {
                family.runs.push(member.run);
                family.jobs += u64::from(member.job);
            }
            _ => *entry = None,
        }
    }
    found.into_iter().flatten().filter(|family| !family.runs.is_empty()).collect()
}

fn root_of(roots: &[usize], mut place: usize) -> usize {
    while let Some(root) = roots.get(place).copied().filter(|root| *root != place) {
        place = root;
    }
    place
}

fn join(roots: &mut [usize], one: usize, other: usize) {
    let (one, other) = (root_of(roots, one), root_of(roots, other));
    if let Some(root) = roots.get_mut(one.max(other)) {
        *root = one.min(other);
    }
}

/// Runs that are to be deleted.
#[derive(Debug)]
pub(crate) struct Deletion {
    runs: Vec<RunId>,
    audit: StoredAudit,
}

// Locked, so that no run can be called by it or forked from it meanwhile.
const LOCK: &str = "UPDATE runs SET last_seq = last_seq WHERE id = $1 RETURNING run_key, status";
const RELATIVES: &str = "SELECT id FROM runs WHERE parent = $1 UNION SELECT id FROM runs WHERE forked_from = $1";
const BODIES: &str = "SELECT digest FROM run_blobs WHERE run_key = $1 \
     UNION SELECT blob FROM events WHERE run_key = $1 AND blob IS NOT NULL";
const EVENT_BYTES: &str = "SELECT CAST(coalesce(sum(length(body)), 0) AS BIGINT) FROM events WHERE run_key = $1";
const DELETE_BODY: &str = "DELETE FROM blobs WHERE digest = $1 AND NOT EXISTS (SELECT 1 FROM events WHERE blob = $1) \
     AND NOT EXISTS (SELECT 1 FROM run_blobs WHERE run_blobs.digest = $1) RETURNING CAST(length(content) AS BIGINT)";
const DELETE: [&str; 6] = [
    "DELETE FROM events WHERE run_key = $1",
    "DELETE FROM approvals WHERE run_key = $1",
    "DELETE FROM inbox WHERE run_key = $1",
    "DELETE FROM run_blobs WHERE run_key = $1",
    "DELETE FROM jobs WHERE run_key = $1",
    "DELETE FROM runs WHERE run_key = $1",
];

pub(crate) async fn delete<S: Session>(session: &S, deletion: &Deletion) -> Result<DeletedRuns, Error> {
    let Some(run_keys) = deletable(session, &deletion.runs).await? else { return Ok(DeletedRuns::default()) };
    let mut deleted = DeletedRuns::default();
    let mut bodies: Vec<Digest> = Vec::new();
    for run_key in run_keys {
        for mut row in session.query(BODIES, &[run_key.into()]).await? {
            bodies.push(row.digest()?);
        }
        if let Some(mut row) = session.query_one(EVENT_BYTES, &[run_key.into()]).await? {
            deleted.bytes += row.count()?;
        }
        for statement in DELETE {
            session.execute(statement, &[run_key.into()]).await?;
        }
        deleted.runs += 1;
    }
    for digest in &bodies {
        if let Some(mut row) = session.query_one(DELETE_BODY, &[digest.into()]).await? {
            deleted.bytes += row.count()?;
        }
    }
    // A key may be given out again.
    session.run_keys().forget();
    audit::append(session, std::slice::from_ref(&deletion.audit)).await?;
    Ok(deleted)
}

/// The keys of the runs, if all of them may be deleted.
async fn deletable<S: Session>(session: &S, runs: &[RunId]) -> Result<Option<Vec<i64>>, Error> {
    let mut run_keys = Vec::with_capacity(runs.len());
    for run in runs {
        let id = run.to_string();
        let Some(mut row) = session.query_one(LOCK, &[id.as_str().into()]).await? else { return Ok(None) };
        let (run_key, status) = (row.int()?, read_status(&row.text()?)?);
        if !status.is_final() {
            return Ok(None);
        }
        for mut row in session.query(RELATIVES, &[id.as_str().into()]).await? {
            if !runs.contains(&row.parsed()?) {
                return Ok(None);
            }
        }
        run_keys.push(run_key);
    }
    Ok(Some(run_keys))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn id(number: usize) -> RunId {
        RunId::from_uuid(Uuid::from_u128(number as u128 + 1))
    }

    fn members() -> impl Strategy<Value = Vec<Member>> {
        let member = (any::<bool>(), any::<bool>(), any::<bool>(), 0..20_i64, any::<prop::sample::Index>());
        prop::collection::vec(member, 1..30).prop_map(|drawn| {
            let member = |(place, (related, fork, job, ended, older)): (usize, _)| {
                let (related, older): (bool, prop::sample::Index) = (related, older);
                let relative = (related && place > 0).then(|| id(older.index(place)));
                let (parent, forked_from) = if fork { (None, relative) } else { (relative, None) };
                let ended_at = (ended > 2).then_some(Timestamp(ended));
                Member { run: id(place), parent, forked_from, ended_at, job }
            };
            drawn.into_iter().enumerate().map(member).collect()
        })
    }

    proptest! {
        #[test]
        fn a_family_goes_as_a_whole_and_only_when_all_of_it_may(members in members(), before in 0..25_i64, jobs_only: bool) {
            let expired = Expired { before: Timestamp(before), jobs_only };
            let gone: Vec<RunId> = families(&members, expired).into_iter().flat_map(|family| family.runs).collect();
            for member in &members {
                let goes = gone.contains(&member.run);
                prop_assert!(!goes || member.may_go(expired));
                for relative in [member.parent, member.forked_from].into_iter().flatten() {
                    prop_assert_eq!(goes, gone.contains(&relative), "{:?} and {:?}", member.run, relative);
                }
                let alone = member.parent.is_none()
                    && member.forked_from.is_none()
                    && members.iter().all(|other| other.parent != Some(member.run) && other.forked_from != Some(member.run));
                prop_assert_eq!(goes, if alone { member.may_go(expired) } else { goes });
            }
        }
    }
}
