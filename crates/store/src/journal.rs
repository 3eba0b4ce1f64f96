//! Journals: creating a run with its first events, appending under a lease, reading a run with its ancestors.
//!
//! An append is one UPDATE of the run, which checks lease and order, and one INSERT per event. JSON and digests are
//! made by the caller, so that the single writer only runs statements.

use masque_types::{
    digest::Digest,
    event::{EVENT_VERSION, Event, decode},
    id::{ApprovalId, CommandId, Epoch, RunId, Seq},
    job::Priority,
    run::RunStatus,
    time::Timestamp,
};

use crate::{
    Error, approval,
    audit::{self, StoredAudit},
    blob, inbox, jobs,
    record::{Append, NewRun, RunHead, Sent},
    run_keys,
    session::Session,
    store::Reader,
    value::{Row, Value, without_nul},
};

/// Bodies above this size are stored once by digest.
const LARGE_BODY_BYTES: usize = 4096;

/// A new run, ready to be stored.
#[derive(Debug)]
pub(crate) struct StoredRun {
    new: NewRun,
    events: Vec<StoredEvent>,
    audit: Vec<StoredAudit>,
}

/// An append, ready to be stored.
#[derive(Debug)]
pub(crate) struct StoredAppend {
    run: RunId,
    epoch: Epoch,
    head: RunHead,
    events: Vec<StoredEvent>,
    blobs: Vec<(Digest, Vec<u8>)>,
    asked: Vec<approval::StoredApproval>,
    decided: Vec<(ApprovalId, String, Timestamp)>,
    consumed: Vec<CommandId>,
    sent: Vec<(CommandId, RunId, String)>,
    at: Timestamp,
    audit: Vec<StoredAudit>,
}

#[derive(Debug)]
struct StoredEvent {
    seq: Seq,
    epoch: Epoch,
    at: Timestamp,
    body: String,
    /// Set when the body goes to the blobs.
    large: Option<Digest>,
}

impl StoredRun {
    pub(crate) fn prepare(new: NewRun) -> Result<Self, Error> {
        let first = new.forked_from.map_or(1, |(_, seq)| seq.saturating_add(1));
        match new.events.first() {
            None => return Err(Error::NoEvents { run: new.id }),
            Some(event) if event.seq != first => {
                return Err(Error::OutOfOrder { run: new.id, expected: first, got: event.seq });
            }
            Some(_) => {}
        }
        let events = prepare_events(new.id, &new.events)?;
        let audit = new.audit.iter().map(StoredAudit::prepare).collect();
        Ok(Self { new, events, audit })
    }

    pub(crate) const fn id(&self) -> RunId {
        self.new.id
    }
}

impl StoredAppend {
    pub(crate) fn prepare(append: Append) -> Result<Self, Error> {
        let events = prepare_events(append.run, &append.events)?;
        let decided = append
            .decided
            .into_iter()
            .map(|(id, ruling, at)| Ok((id, to_json("a ruling", &ruling)?, at)))
            .collect::<Result<_, Error>>()?;
        let sent = append
            .sent
            .iter()
            .map(|Sent { id, run, command }| Ok((*id, *run, to_json("a command", command)?)))
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            run: append.run,
            epoch: append.epoch,
            head: append.head,
            events,
            blobs: append.blobs.into_iter().map(|bytes| (Digest::of(&bytes), bytes)).collect(),
            asked: append.asked.iter().map(approval::StoredApproval::prepare).collect::<Result<_, _>>()?,
            decided,
            consumed: append.consumed,
            sent,
            at: append.events.last().map_or(Timestamp(0), |event| event.at),
            audit: append.audit.iter().map(StoredAudit::prepare).collect(),
        })
    }

    pub(crate) const fn run(&self) -> RunId {
        self.run
    }

    /// The runs that get a command with it.
    pub(crate) fn receivers(&self) -> impl Iterator<Item = RunId> {
        self.sent.iter().map(|(_, run, _)| *run)
    }
}

pub(crate) fn to_json<T: serde::Serialize>(what: &str, value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::unstorable(what, error))
}

fn prepare_events(run: RunId, events: &[Event]) -> Result<Vec<StoredEvent>, Error> {
    for pair in events.windows(2) {
        if let [one, two] = pair
            && two.seq != one.seq.saturating_add(1)
        {
            return Err(Error::OutOfOrder { run, expected: one.seq.saturating_add(1), got: two.seq });
        }
    }
    events.iter().map(prepare_event).collect()
}

fn prepare_event(event: &Event) -> Result<StoredEvent, Error> {
    let body = to_json("an event", &event.body)?;
    let large = (body.len() > LARGE_BODY_BYTES).then(|| Digest::of(&body));
    Ok(StoredEvent { seq: event.seq, epoch: event.epoch, at: event.at, body, large })
}

// Locked, so that it is not deleted in between.
const PARENT_END: &str = "UPDATE runs SET last_seq = last_seq WHERE id = $1 RETURNING last_seq";
// Locked, so that the caller cannot end in between without telling this run.
const CALLER: &str = "UPDATE runs SET last_seq = last_seq WHERE id = $1 RETURNING status, queued, priority";
const CREATE: &str = "INSERT INTO runs (id, persona, title, sandbox, status, last_seq, created_at, updated_at, epoch, \
     forked_from, forked_seq, parent, conversation, queued, priority) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (id) DO NOTHING RETURNING run_key";

/// Stores a new run. Nothing is written when it cannot be.
pub(crate) async fn create<S: Session>(session: &S, stored: &StoredRun) -> Result<(), Error> {
    let new = &stored.new;
    if let Some((parent, seq)) = new.forked_from {
        let row = session.query_one(PARENT_END, &[parent.to_string().into()]).await?;
        let end = row.ok_or(Error::NoSuchRun { run: parent })?.count()?;
        if seq > end {
            return Err(Error::OutOfOrder { run: parent, expected: end, got: seq });
        }
    }
    let (queued, priority) = place_in_queue(session, new).await?;
    let last = stored.events.last().ok_or(Error::NoEvents { run: new.id })?;
    let params = [
        new.id.to_string().into(),
        Value::Text(without_nul(&new.persona)),
        Value::Text(without_nul(&new.title)),
        new.sandbox.name().into(),
        new.status.name().into(),
        last.seq.into(),
        new.created_at.into(),
        last.at.into(),
        last.epoch.into(),
        new.forked_from.map(|(parent, _)| parent.to_string()).into(),
        new.forked_from.map(|(_, seq)| seq).into(),
        new.parent.map(|parent| parent.to_string()).into(),
        Value::Bool(new.conversation),
        Value::Bool(queued),
        priority.into(),
    ];
    let row = session.query_one(CREATE, &params).await?;
    let run_key = row.ok_or(Error::RunExists { run: new.id })?.int()?;
    insert_events(session, run_key, &stored.events).await?;
    if let Some(job) = &new.job {
        jobs::insert(session, run_key, job).await?;
    }
    audit::append(session, &stored.audit).await
}

/// Whether the workers of jobs take a new run, and before which others: a called run stands where its caller does.
async fn place_in_queue<S: Session>(session: &S, new: &NewRun) -> Result<(bool, i64), Error> {
    let own = new.job.as_ref().map_or(Priority::default(), |job| job.priority);
    let Some(parent) = new.parent else { return Ok((new.job.is_some(), jobs::priority_number(own))) };
    let row = session.query_one(CALLER, &[parent.to_string().into()]).await?;
    let mut row = row.ok_or(Error::NoSuchRun { run: parent })?;
    if read_status(&row.text()?)?.is_final() {
        return Err(Error::Ended { run: parent });
    }
    Ok((row.truth()?, row.int()?))
}

// Without RETURNING, for which SQLite makes and drops a table each time. The first does not name the status, so that
// the index of open runs stays untouched while the status does not change.
const ADVANCE: &str = "UPDATE runs SET last_seq = $5, updated_at = $6, wake_at = $7, steps = $8, input_tokens = $9, \
     output_tokens = $10, cache_read_tokens = $11, cache_write_tokens = $12, micro_usd = $13 \
     WHERE run_key = $1 AND epoch = $2 AND last_seq = $3 AND status = $4";
const ADVANCE_TO_STATUS: &str = "UPDATE runs SET last_seq = $5, updated_at = $6, wake_at = $7, steps = $8, \
     input_tokens = $9, output_tokens = $10, cache_read_tokens = $11, cache_write_tokens = $12, micro_usd = $13, \
     status = $4 WHERE run_key = $1 AND epoch = $2 AND last_seq = $3";
const ADVANCE_HEAD: &str = "UPDATE runs SET status = $3, wake_at = $4, steps = $5, input_tokens = $6, \
     output_tokens = $7, cache_read_tokens = $8, cache_write_tokens = $9, micro_usd = $10 \
     WHERE run_key = $1 AND epoch = $2";

/// Stores an append, if the caller's lease is the run's and the events follow. Otherwise nothing is written.
pub(crate) async fn append<S: Session>(session: &S, append: &StoredAppend) -> Result<(), Error> {
    let run_key = advance(session, append).await?;
    insert_events(session, run_key, &append.events).await?;
    for (digest, bytes) in &append.blobs {
        blob::insert(session, digest, bytes).await?;
        blob::named(session, run_key, digest).await?;
    }
    for asked in &append.asked {
        approval::insert(session, run_key, asked).await?;
    }
    for (id, ruling, at) in &append.decided {
        approval::decide(session, run_key, *id, ruling, *at).await?;
    }
    for command in &append.consumed {
        inbox::consume(session, run_key, *command).await?;
    }
    for (id, receiver, command) in &append.sent {
        inbox::deliver(session, *id, *receiver, command, append.at).await?;
    }
    audit::append(session, &append.audit).await
}

/// Checks lease and order and moves the run's head; returns the run's key.
async fn advance<S: Session>(session: &S, append: &StoredAppend) -> Result<i64, Error> {
    let run_key = run_keys::of(session, append.run).await?;
    let changed = if let (Some(first), Some(last)) = (append.events.first(), append.events.last()) {
        let params = advance_params(run_key, append, first, last);
        match session.execute(ADVANCE, &params).await? {
            0 => session.execute(ADVANCE_TO_STATUS, &params).await?,
            changed => changed,
        }
    } else {
        session.execute(ADVANCE_HEAD, &head_params(run_key, append)).await?
    };
    if changed == 1 { Ok(run_key) } else { Err(why_not(session, append, run_key).await?) }
}

fn advance_params<'a>(run_key: i64, append: &StoredAppend, first: &StoredEvent, last: &StoredEvent) -> [Value<'a>; 13] {
    let before = first.seq.saturating_sub(1);
    let [run_key, epoch, status, wake_at, steps, input, output, read, written, money] = head_params(run_key, append);
    let (before, seq, at) = (before.into(), last.seq.into(), last.at.into());
    [run_key, epoch, before, status, seq, at, wake_at, steps, input, output, read, written, money]
}

fn head_params<'a>(run_key: i64, append: &StoredAppend) -> [Value<'a>; 10] {
    let spend = &append.head.spend;
    [
        run_key.into(),
        append.epoch.into(),
        append.head.status.name().into(),
        append.head.wake_at.into(),
        u64::from(spend.steps).into(),
        spend.usage.input_tokens.into(),
        spend.usage.output_tokens.into(),
        spend.usage.cache_read_tokens.into(),
        spend.usage.cache_write_tokens.into(),
        spend.micro_usd.0.into(),
    ]
}

const FENCE: &str = "SELECT epoch, last_seq FROM runs WHERE run_key = $1";

async fn why_not<S: Session>(session: &S, append: &StoredAppend, run_key: i64) -> Result<Error, Error> {
    let run = append.run;
    let Some(mut row) = session.query_one(FENCE, &[run_key.into()]).await? else {
        return Ok(Error::NoSuchRun { run });
    };
    let (current, last_seq) = (row.count()?, row.count()?);
    if current != append.epoch {
        return Ok(Error::StaleLease { run, epoch: append.epoch, current });
    }
    let got = append.events.first().map_or(0, |event| event.seq);
    Ok(Error::OutOfOrder { run, expected: last_seq.saturating_add(1), got })
}

const INSERT_EVENT: &str =
    "INSERT INTO events (run_key, seq, epoch, at, version, body, blob) VALUES ($1, $2, $3, $4, $5, $6, $7)";

async fn insert_events<S: Session>(session: &S, run_key: i64, events: &[StoredEvent]) -> Result<(), Error> {
    for event in events {
        if let Some(digest) = &event.large {
            blob::insert(session, digest, event.body.as_bytes()).await?;
        }
        let body = if event.large.is_some() { Value::Null } else { event.body.as_str().into() };
        let params = [
            run_key.into(),
            event.seq.into(),
            event.epoch.into(),
            event.at.into(),
            i64::from(EVENT_VERSION).into(),
            body,
            event.large.as_ref().into(),
        ];
        session.execute(INSERT_EVENT, &params).await?;
    }
    Ok(())
}

const LINEAGE: &str = "SELECT run_key, last_seq, forked_from, forked_seq FROM runs WHERE id = $1";
const READ: &str = "SELECT events.seq, events.epoch, events.at, events.version, events.body, blobs.content \
     FROM events LEFT JOIN blobs ON blobs.digest = events.blob \
     WHERE events.run_key = $1 AND events.seq > $2 AND events.seq <= $3 ORDER BY events.seq";

/// The events after a position, oldest first; those before a fork come from the ancestors.
pub(crate) async fn read(reader: &Reader, run: RunId, after: Seq) -> Result<Vec<Event>, Error> {
    let mut generations = Vec::new();
    let (mut id, mut upto) = (run, Seq::MAX);
    loop {
        let rows = reader.query(LINEAGE, vec![id.to_string().into()]).await?;
        let mut row = rows.into_iter().next().ok_or(Error::NoSuchRun { run: id })?;
        let (run_key, last_seq) = (row.int()?, row.count()?);
        let (parent, forked_seq) = (row.optional_parsed::<RunId>()?, row.optional_int()?);
        let rows = reader.query(READ, vec![run_key.into(), after.into(), last_seq.min(upto).into()]).await?;
        generations.push((id, rows));
        let (Some(parent), Some(forked_seq)) = (parent, forked_seq) else { break };
        upto = upto.min(u64::try_from(forked_seq).unwrap_or(0));
        if upto <= after {
            break;
        }
        id = parent;
    }
    let oldest_first = generations.into_iter().rev();
    oldest_first.flat_map(|(run, rows)| rows.into_iter().map(move |row| read_event(run, row))).collect()
}

fn read_event(run: RunId, mut row: Row) -> Result<Event, Error> {
    let (seq, epoch, at, version) = (row.count()?, row.count()?, row.time()?, row.count()?);
    let unreadable = |reason: String| Error::unreadable(format!("event {seq} of {run}"), reason);
    let body = match (row.optional_text()?, row.optional_bytes()?) {
        (Some(body), _) => body,
        (None, Some(content)) => String::from_utf8(content).map_err(|error| unreadable(error.to_string()))?,
        (None, None) => return Err(unreadable("its body is missing".to_owned())),
    };
    let version = u32::try_from(version).unwrap_or(u32::MAX);
    let body = decode(version, &body).map_err(|error| unreadable(error.to_string()))?;
    Ok(Event { seq, epoch, at, body })
}

/// Reads a status back.
pub(crate) fn read_status(name: &str) -> Result<RunStatus, Error> {
    RunStatus::from_name(name).ok_or_else(|| Error::unreadable(format!("the stored status `{name}`"), "it is unknown"))
}
