//! Forgetting: documents with everything that was made of them, the summaries that name them among it.

use std::collections::{BTreeMap, VecDeque};

use super::{
    dialect::MemorySession,
    document,
    record::{ForgetFilter, Forgotten, ForgottenDocument},
    sql::Statement,
};
use crate::{Error, value::Row};

/// So many values fit into one statement on both databases.
const VALUES: usize = 500;
const SUMMARIES: &str = "SELECT d.document_key, d.namespace_key, d.id, n.name, d.source FROM document_sources s \
     JOIN documents d ON d.document_key = s.document_key \
     JOIN memory_namespaces n ON n.namespace_key = d.namespace_key WHERE s.source = $1";
const SELECT: &str = "SELECT d.document_key, d.namespace_key, d.id, n.name, d.source FROM documents d \
     JOIN memory_namespaces n ON n.namespace_key = d.namespace_key WHERE ";

/// A document that has to go: its own key and its namespace's.
type Doomed = (i64, i64, ForgottenDocument);

pub(super) async fn forget<S: MemorySession>(session: &S, filter: &ForgetFilter) -> Result<Forgotten, Error> {
    let mut forgotten = Forgotten::default();
    for (document_key, namespace_key, document) in doomed(session, filter).await?.into_values() {
        forgotten.chunks += document::drop_document(session, document_key, namespace_key).await?;
        forgotten.documents.push(document);
    }
    Ok(forgotten)
}

/// The selected documents, and the summaries of them, and the summaries of these.
async fn doomed<S: MemorySession>(session: &S, filter: &ForgetFilter) -> Result<BTreeMap<i64, Doomed>, Error> {
    let mut queue: VecDeque<Doomed> = VecDeque::new();
    for statement in selections(filter) {
        for row in session.read(&statement.sql, &statement.params).await? {
            queue.push_back(read(row)?);
        }
    }
    let mut doomed = BTreeMap::new();
    while let Some(next) = queue.pop_front() {
        let id = next.2.id.to_string();
        if doomed.insert(next.0, next).is_none() {
            for row in session.query(SUMMARIES, &[id.into()]).await? {
                queue.push_back(read(row)?);
            }
        }
    }
    Ok(doomed)
}

fn read(mut row: Row) -> Result<Doomed, Error> {
    let keys = (row.int()?, row.int()?);
    let document = ForgottenDocument { id: row.parsed()?, namespace: row.parsed()?, source: row.text()? };
    Ok((keys.0, keys.1, document))
}

/// The statements that select what is meant; long lists of ids and sources make several.
fn selections(filter: &ForgetFilter) -> Vec<Statement> {
    if !filter.says_something() {
        return Vec::new();
    }
    let ids: Vec<String> = filter.ids.iter().map(ToString::to_string).collect();
    let listed: Vec<(&str, &[String])> = [("d.id", ids.as_slice()), ("d.source", filter.sources.as_slice())]
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .collect();
    let mut statements = vec![general(filter)];
    for (column, values) in listed {
        statements = statements
            .into_iter()
            .flat_map(|statement| {
                values.chunks(VALUES).map(move |values| {
                    let mut part = Statement { sql: statement.sql.clone(), params: statement.params.clone() };
                    part.text(" AND ").any_of(column, values.iter().cloned());
                    part
                })
            })
            .collect();
    }
    statements
}

fn general(filter: &ForgetFilter) -> Statement {
    let mut statement = Statement::new(SELECT);
    statement.any_of("n.name", filter.namespaces.iter().map(ToString::to_string));
    if let Some(prefix) = &filter.source_prefix {
        statement.text(" AND ").begins("d.source", prefix);
    }
    if let Some(origin) = filter.origin {
        statement.text(" AND d.origin = ").value(origin.name().to_owned());
    }
    if !filter.kinds.is_empty() {
        statement.text(" AND ").any_of("d.kind", filter.kinds.iter().map(|kind| kind.name().to_owned()));
    }
    if let Some(run) = filter.run {
        statement.text(" AND d.run = ").value(run.to_string());
    }
    if let Some(before) = filter.before {
        statement.text(" AND d.changed_at < ").value(before);
    }
    statement
}
