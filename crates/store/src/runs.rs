//! Listing runs and finding them by the beginning of their id.

use masque_types::{
    cost::{MicroUsd, Spend, Usage},
    id::RunId,
    run::{RunSummary, SandboxMode},
    time::Timestamp,
};

use crate::{
    Error,
    journal::read_status,
    record::RunFilter,
    store::Reader,
    value::{Row, Value},
};

/// Sorts after every id: a brace follows the letters.
pub(crate) const AFTER_ALL: &str = "{";
/// More than these cannot be told apart at a glance.
const FIND_AT_MOST: usize = 10;

/// The columns that [`read_summary`] reads.
macro_rules! run_columns {
    () => {
        "id, persona, title, status, sandbox, steps, input_tokens, output_tokens, cache_read_tokens, \
         cache_write_tokens, micro_usd, last_seq, created_at, updated_at, forked_from, forked_seq, parent, conversation"
    };
}

pub(crate) use run_columns;

macro_rules! select_runs {
    ($($rest:literal)*) => {
        concat!("SELECT ", run_columns!(), " FROM runs ", $($rest),*)
    };
}

const ONE: &str = select_runs!("WHERE id = $1");
const LIST: &str = select_runs!(
    "WHERE id < $1 AND (CAST($2 AS TEXT) IS NULL OR status = $2) "
    "AND (CAST($3 AS TEXT) IS NULL OR persona = $3) AND (CAST($4 AS BOOLEAN) IS NULL OR conversation = $4) "
    "AND (CAST($5 AS TEXT) IS NULL OR parent = $5) "
    "AND (CAST($6 AS BOOLEAN) IS NULL OR $6 = EXISTS (SELECT 1 FROM jobs WHERE jobs.run_key = runs.run_key)) "
    "ORDER BY id DESC LIMIT $7"
);
const FIND: &str = "SELECT id FROM runs WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3";

/// Newest first: ids sort by time.
pub(crate) async fn list(reader: &Reader, filter: &RunFilter) -> Result<Vec<RunSummary>, Error> {
    let before = filter.before.map_or_else(|| AFTER_ALL.to_owned(), |run| run.to_string());
    let status = filter.status.map(|status| status.name().to_owned());
    let params = vec![
        before.into(),
        status.into(),
        filter.persona.clone().into(),
        filter.conversation.map(Value::Bool).unwrap_or(Value::Null),
        filter.parent.map(|parent| parent.to_string()).into(),
        filter.job.map(Value::Bool).unwrap_or(Value::Null),
        filter.limit.into(),
    ];
    reader.query(LIST, params).await?.into_iter().map(summary).collect()
}

pub(crate) async fn one(reader: &Reader, run: RunId) -> Result<Option<RunSummary>, Error> {
    let row = reader.query(ONE, vec![run.to_string().into()]).await?.into_iter().next();
    row.map(summary).transpose()
}

pub(crate) async fn find(reader: &Reader, beginning: &str) -> Result<Vec<RunId>, Error> {
    let Some(params) = id_range(RunId::PREFIX, beginning) else { return Ok(Vec::new()) };
    reader.query(FIND, params).await?.into_iter().map(|mut row| row.parsed()).collect()
}

/// From, to and limit of the ids that begin so; the printed prefix may be left out.
pub(crate) fn id_range(prefix: &str, beginning: &str) -> Option<Vec<Value<'static>>> {
    let beginning = beginning.to_ascii_lowercase();
    let rest = beginning.strip_prefix(prefix).unwrap_or(&beginning);
    if !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let (from, to) = (format!("{prefix}{rest}"), format!("{prefix}{rest}{AFTER_ALL}"));
    Some(vec![from.into(), to.into(), FIND_AT_MOST.into()])
}

fn summary(mut row: Row) -> Result<RunSummary, Error> {
    read_summary(&mut row)
}

pub(crate) fn read_summary(row: &mut Row) -> Result<RunSummary, Error> {
    Ok(RunSummary {
        id: row.parsed()?,
        persona: row.text()?,
        title: row.text()?,
        status: read_status(&row.text()?)?,
        sandbox: read_sandbox(&row.text()?)?,
        spend: Spend {
            steps: u32::try_from(row.count()?).unwrap_or(u32::MAX),
            usage: Usage {
                input_tokens: row.count()?,
                output_tokens: row.count()?,
                cache_read_tokens: row.count()?,
                cache_write_tokens: row.count()?,
            },
            micro_usd: MicroUsd(row.count()?),
        },
        last_seq: row.count()?,
        created_at: Timestamp(row.int()?),
        updated_at: Timestamp(row.int()?),
        forked_from: {
            let (parent, seq) = (row.optional_parsed()?, row.optional_int()?);
            parent.zip(seq.and_then(|seq| u64::try_from(seq).ok()))
        },
        parent: row.optional_parsed()?,
        conversation: row.truth()?,
    })
}

fn read_sandbox(name: &str) -> Result<SandboxMode, Error> {
    [SandboxMode::Process, SandboxMode::Container, SandboxMode::None]
        .into_iter()
        .find(|mode| mode.name() == name)
        .ok_or_else(|| Error::unreadable(format!("the stored sandbox mode `{name}`"), "it is unknown"))
}
