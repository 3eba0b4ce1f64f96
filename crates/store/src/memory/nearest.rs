//! Finding chunks by vectors, and what both databases share in that. Leaves out how each looks through its index.

use super::{
    record::{Hit, VectorQuery},
    sql::Statement,
};
use crate::{
    Error,
    store::Reader,
    value::{Row, Value},
};

/// The shelves that a query looks through.
pub(super) fn shelves(query: &VectorQuery) -> Statement {
    let mut statement = Statement::new(
        "SELECT s.shelf_key, s.vectors FROM vector_shelves s JOIN embedding_models m ON m.model_key = s.model_key \
         JOIN memory_namespaces n ON n.namespace_key = s.namespace_key WHERE m.name = ",
    );
    statement.value(query.model.name.clone()).text(" AND m.dimension = ").value(query.model.dimension);
    statement.text(" AND s.vectors > 0 AND ").any_of("n.name", query.filter.namespaces.iter().map(ToString::to_string));
    statement.text(" ORDER BY s.shelf_key");
    statement
}

/// The vectors of one model in one namespace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shelf {
    pub(super) key: i64,
    pub(super) vectors: u64,
}

pub(super) fn read_shelf(mut row: Row) -> Result<Shelf, Error> {
    Ok(Shelf { key: row.int()?, vectors: row.count()? })
}

/// How many candidates are compared exactly for so many results: enough that coarse order costs next to none of them.
pub(super) fn oversample(limit: usize) -> usize {
    (limit * 32).clamp(256, 4096)
}

pub(super) async fn hits(reader: &Reader, query: &VectorQuery) -> Result<Vec<Hit>, Error> {
    check(&query.vector, query.model.dimension)?;
    if query.filter.namespaces.is_empty() || query.limit == 0 {
        return Ok(Vec::new());
    }
    match reader {
        Reader::Postgres { pool, server } => {
            let session = server.take(pool).await?;
            super::postgres::nearest(&session, query).await
        }
        Reader::Sqlite(_) | Reader::Writer(_) => {
            let query = query.clone();
            reader.visit(move |session| super::sqlite_vectors::nearest(session, &query)).await
        }
    }
}

/// Refuses vectors that the index would take for something else.
pub(super) fn check(vector: &[f32], dimension: usize) -> Result<(), Error> {
    if vector.len() != dimension || dimension == 0 {
        let reason = format!("it has {} numbers, its model says {dimension}", vector.len());
        return Err(Error::unstorable("a vector", reason));
    }
    if !vector.iter().all(|number| number.is_finite()) {
        return Err(Error::unstorable("a vector", "it holds something that is no number"));
    }
    Ok(())
}

/// A vector as PostgreSQL and people read it.
pub(super) fn as_text(vector: &[f32]) -> Value<'static> {
    let numbers: Vec<String> = vector.iter().map(ToString::to_string).collect();
    format!("[{}]", numbers.join(",")).into()
}
