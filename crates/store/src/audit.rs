//! The audit log: hash-chained, so that an edit, a drop, a reordering or a cut end is found.
//!
//! Each entry's digest covers the digest in front of it and all fields. How long the log is and how it ends stands in
//! a row of its own. Who can write to the database can rewrite the whole chain: against that, keep the head digest of
//! [`AuditReport`] somewhere else.

use masque_types::{
    actor::Actor,
    digest::{Digest, canonical_json},
    id::RunId,
    time::Timestamp,
};

use crate::{
    Error,
    record::{AuditBreak, AuditEntry, AuditReport, NewAudit},
    session::Session,
    store::Reader,
    value::{Row, without_nul},
};

/// An entry as its columns hold it.
#[derive(Debug)]
pub(crate) struct StoredAudit {
    at: Timestamp,
    actor: String,
    action: String,
    run: Option<String>,
    target: String,
    detail: String,
}

impl StoredAudit {
    pub(crate) fn prepare(new: &NewAudit) -> Self {
        Self {
            at: new.at,
            actor: without_nul(&new.actor.to_string()).into_owned(),
            action: without_nul(&new.action).into_owned(),
            run: new.run.map(|run| run.to_string()),
            target: without_nul(&new.target).into_owned(),
            detail: canonical_json(&new.detail),
        }
    }

    fn digest(&self, number: u64, previous: &Digest) -> Digest {
        let (number, at) = (number.to_be_bytes(), self.at.0.to_be_bytes());
        // A missing run and an empty one are told apart by the number of parts.
        let run = self.run.as_deref().map(str::as_bytes);
        let fixed = [previous.as_bytes().as_slice(), &number, &at, self.actor.as_bytes(), self.action.as_bytes()];
        let rest = [self.target.as_bytes(), self.detail.as_bytes()];
        Digest::of_parts(fixed.into_iter().chain(rest).chain(run))
    }

    fn read(row: &mut Row) -> Result<Self, Error> {
        Ok(Self {
            at: row.time()?,
            actor: row.text()?,
            action: row.text()?,
            run: row.optional_text()?,
            target: row.text()?,
            detail: row.text()?,
        })
    }
}

/// What stands in front of the first entry.
fn origin() -> Digest {
    Digest::of("masque audit log")
}

/// The update locks the row, so that of two writers one waits for the other's end of the chain.
const RESERVE: &str = "UPDATE audit_head SET entries = entries + $1 WHERE one = 1 RETURNING entries, digest";
const INSERT: &str = "INSERT INTO audit (number, at, actor, action, run, target, detail, digest) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const MOVE_HEAD: &str = "UPDATE audit_head SET digest = $1 WHERE one = 1";
const HEAD: &str = "SELECT entries, digest FROM audit_head WHERE one = 1";
const PAGE: &str = "SELECT number, at, actor, action, run, target, detail, digest FROM audit \
     WHERE number > $1 ORDER BY number LIMIT $2";
const TAIL: &str = "SELECT number, at, actor, action, run, target, detail, digest FROM audit \
     ORDER BY number DESC LIMIT $1";
const PAGE_ENTRIES: usize = 1000;
const ENDS: &str = "SELECT coalesce(min(number), 1), coalesce(max(number), 0) FROM audit";

/// Adds entries to the end of the chain.
pub(crate) async fn append<S: Session>(session: &S, entries: &[StoredAudit]) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let row = session.query_one(RESERVE, &[entries.len().into()]).await?;
    let (end, mut digest) = head(row)?;
    let start = end.saturating_sub(entries.len() as u64);
    for (number, entry) in (start + 1..).zip(entries) {
        digest = entry.digest(number, &digest);
        let params = [
            number.into(),
            entry.at.into(),
            entry.actor.as_str().into(),
            entry.action.as_str().into(),
            entry.run.as_deref().into(),
            entry.target.as_str().into(),
            entry.detail.as_str().into(),
            (&digest).into(),
        ];
        session.execute(INSERT, &params).await?;
    }
    session.execute(MOVE_HEAD, &[(&digest).into()]).await.map(|_changed| ())
}

fn head(row: Option<Row>) -> Result<(u64, Digest), Error> {
    let missing = || Error::unreadable("the head of the audit log", "its row is missing");
    let mut row = row.ok_or_else(missing)?;
    let entries = row.count()?;
    let digest = row.optional_bytes()?.map_or_else(|| Some(origin()), |bytes| Digest::from_bytes(&bytes));
    Ok((entries, digest.ok_or_else(|| Error::unreadable("the head of the audit log", "its digest has not 32 bytes"))?))
}

/// The last entries, oldest first.
pub(crate) async fn tail(reader: &Reader, limit: usize) -> Result<Vec<AuditEntry>, Error> {
    let rows = reader.query(TAIL, vec![limit.into()]).await?;
    rows.into_iter().rev().map(read_entry).collect()
}

fn read_entry(mut row: Row) -> Result<AuditEntry, Error> {
    let number = row.count()?;
    let stored = StoredAudit::read(&mut row)?;
    let unreadable = |reason: String| Error::unreadable(format!("audit entry {number}"), reason);
    let run = stored.run.map(|run| run.parse::<RunId>()).transpose().map_err(|error| unreadable(error.to_string()))?;
    let detail = serde_json::from_str(&stored.detail).map_err(|error| unreadable(error.to_string()))?;
    let actor = read_actor(&stored.actor).ok_or_else(|| unreadable(format!("`{}` is no actor", stored.actor)))?;
    let what = NewAudit { at: stored.at, actor, action: stored.action, run, target: stored.target, detail };
    Ok(AuditEntry { number, what, digest: row.digest()? })
}

pub(crate) fn read_actor(text: &str) -> Option<Actor> {
    match text.split_once(':') {
        Some(("user", name)) => Some(Actor::User(name.to_owned())),
        Some(("persona", name)) => Some(Actor::Persona(name.to_owned())),
        _ => (text == "system").then_some(Actor::System),
    }
}

/// Recomputes the chain up to the head, page by page, and stops at the first break. Entries that are written
/// meanwhile are left to the next check.
pub(crate) async fn verify(reader: &Reader) -> Result<AuditReport, Error> {
    let (entries, head) = head(reader.query(HEAD, Vec::new()).await?.into_iter().next())?;
    let mut chain = Chain { number: 0, digest: origin() };
    let mut broken = None;
    while broken.is_none() && chain.number < entries {
        let rows = reader.query(PAGE, vec![chain.number.into(), PAGE_ENTRIES.into()]).await?;
        if rows.is_empty() {
            broken = Some(format!("the log ends here, but {entries} entries were written"));
            break;
        }
        broken = rows.into_iter().find_map(|row| chain.step(row, entries));
    }
    if broken.is_none() && chain.digest != head {
        broken = Some("the recorded end of the log is another one".to_owned());
        chain.number = entries.saturating_sub(1);
    }
    let broken = match broken {
        Some(what) => Some(AuditBreak { entry: chain.number + 1, what }),
        None => smuggled(reader).await?,
    };
    Ok(AuditReport { entries, head, broken })
}

/// Entries outside the numbers that were given out. The ends are read before the head, so that entries that are
/// written meanwhile are not taken for smuggled ones.
async fn smuggled(reader: &Reader) -> Result<Option<AuditBreak>, Error> {
    let Some(mut ends) = reader.query(ENDS, Vec::new()).await?.into_iter().next() else { return Ok(None) };
    let (first, last) = (ends.int()?, ends.int()?);
    let (entries, _digest) = head(reader.query(HEAD, Vec::new()).await?.into_iter().next())?;
    let entry = if first < 1 { Some(0) } else { u64::try_from(last).ok().filter(|last| *last > entries) };
    Ok(entry.map(|entry| AuditBreak { entry, what: "the entry was added from outside".to_owned() }))
}

/// The part of the log that was found good.
struct Chain {
    number: u64,
    digest: Digest,
}

impl Chain {
    /// Goes one entry on, or says what is wrong with it.
    fn step(&mut self, mut row: Row, entries: u64) -> Option<String> {
        if self.number >= entries {
            return None;
        }
        self.follow(&mut row).err()
    }

    fn follow(&mut self, row: &mut Row) -> Result<(), String> {
        let expected = self.number + 1;
        let number = row.count().map_err(|error| error.to_string())?;
        if number != expected {
            return Err(format!("the entry is missing; the next one is {number}"));
        }
        let stored = StoredAudit::read(row).map_err(|error| error.to_string())?;
        let recorded = row.digest().map_err(|error| error.to_string())?;
        let digest = stored.digest(number, &self.digest);
        if digest != recorded {
            return Err("the entry, or its place in the log, was changed".to_owned());
        }
        *self = Self { number, digest };
        Ok(())
    }
}
