//! Questions to humans and their answers, as rows. Leaves out what an answer means: that is the engine's.

use masque_types::{
    approval::{Approval, Ruling},
    digest::Digest,
    id::{ApprovalId, RunId},
    time::Timestamp,
};

use crate::{
    Error,
    journal::to_json,
    record::ApprovalFilter,
    runs::id_range,
    session::Session,
    store::Reader,
    value::{Row, Value, without_nul},
};

/// A question, ready to be stored.
#[derive(Debug)]
pub(crate) struct StoredApproval {
    id: ApprovalId,
    call_id: String,
    question: String,
    digest: Digest,
    asked_at: Timestamp,
    deadline: Option<Timestamp>,
    ruling: Option<String>,
}

impl StoredApproval {
    pub(crate) fn prepare(approval: &Approval) -> Result<Self, Error> {
        Ok(Self {
            id: approval.id,
            call_id: without_nul(&approval.call_id).into_owned(),
            question: to_json("a question", &approval.question)?,
            digest: approval.digest,
            asked_at: approval.asked_at,
            deadline: approval.deadline,
            ruling: approval.ruling.as_ref().map(|ruling| to_json("a ruling", ruling)).transpose()?,
        })
    }
}

const INSERT: &str = "INSERT INTO approvals (id, run_key, call_id, question, digest, asked_at, deadline, ruling) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const DECIDE: &str =
    "UPDATE approvals SET ruling = $3, decided_at = $4 WHERE id = $1 AND run_key = $2 AND ruling IS NULL";

macro_rules! select_approvals {
    ($($rest:literal)*) => {
        concat!(
            "SELECT approvals.id, runs.id, call_id, question, digest, asked_at, deadline, ruling ",
            "FROM approvals JOIN runs ON runs.run_key = approvals.run_key ",
            $($rest),*
        )
    };
}

const ONE: &str = select_approvals!("WHERE approvals.id = $1");
const ALL: &str =
    select_approvals!("WHERE (CAST($1 AS TEXT) IS NULL OR runs.id = $1) ORDER BY asked_at, approvals.id LIMIT $2");
const OPEN: &str = select_approvals!(
    "WHERE (CAST($1 AS TEXT) IS NULL OR runs.id = $1) AND ruling IS NULL AND status IN ('running', 'waiting') "
    "ORDER BY asked_at, approvals.id LIMIT $2"
);
const FIND: &str = "SELECT id FROM approvals WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3";

pub(crate) async fn insert<S: Session>(session: &S, run_key: i64, asked: &StoredApproval) -> Result<(), Error> {
    let params = [
        asked.id.to_string().into(),
        run_key.into(),
        asked.call_id.as_str().into(),
        asked.question.as_str().into(),
        (&asked.digest).into(),
        asked.asked_at.into(),
        asked.deadline.into(),
        asked.ruling.as_deref().into(),
    ];
    session.execute(INSERT, &params).await.map(|_changed| ())
}

/// Stores an answer unless there is one.
pub(crate) async fn decide<S: Session>(
    session: &S,
    run_key: i64,
    id: ApprovalId,
    ruling: &str,
    at: Timestamp,
) -> Result<(), Error> {
    let params = [id.to_string().into(), run_key.into(), ruling.into(), at.into()];
    session.execute(DECIDE, &params).await.map(|_changed| ())
}

pub(crate) async fn list(reader: &Reader, filter: &ApprovalFilter) -> Result<Vec<Approval>, Error> {
    let sql = if filter.open_only { OPEN } else { ALL };
    let params: Vec<Value<'static>> = vec![filter.run.map(|run| run.to_string()).into(), filter.limit.into()];
    reader.query(sql, params).await?.into_iter().map(read).collect()
}

pub(crate) async fn one(reader: &Reader, id: ApprovalId) -> Result<Option<Approval>, Error> {
    let row = reader.query(ONE, vec![id.to_string().into()]).await?.into_iter().next();
    row.map(read).transpose()
}

pub(crate) async fn find(reader: &Reader, beginning: &str) -> Result<Vec<ApprovalId>, Error> {
    let Some(params) = id_range(ApprovalId::PREFIX, beginning) else { return Ok(Vec::new()) };
    reader.query(FIND, params).await?.into_iter().map(|mut row| row.parsed()).collect()
}

fn read(mut row: Row) -> Result<Approval, Error> {
    let id: ApprovalId = row.parsed()?;
    let unreadable = |error: serde_json::Error| Error::unreadable(format!("approval {id}"), error);
    let run: RunId = row.parsed()?;
    let (call_id, question) = (row.text()?, row.text()?);
    let (digest, asked_at, deadline) = (row.digest()?, row.time()?, row.optional_int()?.map(Timestamp));
    let ruling: Option<String> = row.optional_text()?;
    Ok(Approval {
        id,
        run,
        call_id,
        question: serde_json::from_str(&question).map_err(unreadable)?,
        digest,
        asked_at,
        deadline,
        ruling: ruling.map(|text| serde_json::from_str::<Ruling>(&text).map_err(unreadable)).transpose()?,
    })
}
