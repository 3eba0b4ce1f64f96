//! The memory on PostgreSQL: full text by a GIN index over `tsvector`, vectors by pgvector.
//!
//! Vectors of one length share a table with an HNSW index. A shelf that is not large is compared exactly: the index
//! walks all shelves at once, and what it meets on the way is mostly others'. From a large shelf the index is asked,
//! and when it does not give enough, the shelf is compared exactly after all, so that a filter never loses results.

use super::{
    dialect::MemorySession,
    nearest::{Shelf, as_text, oversample, read_shelf, shelves},
    record::{ChunkKey, Hit, VectorQuery, VectorSupport},
    sql::Statement,
    text::{List, Place, Postings},
};
use crate::{
    Error,
    dialect::postgres::PostgresSession,
    store::Reader,
    value::{Row, Value},
};

/// The full-text index.
pub(crate) const LEXEMES: &str = "CREATE TABLE chunk_lexemes (chunk_key BIGINT PRIMARY KEY, lexemes TSVECTOR NOT NULL);\n\
     CREATE INDEX chunk_lexemes_by_lexeme ON chunk_lexemes USING gin (lexemes);";

/// Any number that every Masque takes while it writes to the memory.
const ENTER: &str = "SELECT pg_advisory_xact_lock(7236838)";
const ADD_LEXEMES: &str =
    "INSERT INTO chunk_lexemes (chunk_key, lexemes) VALUES ($1, array_to_tsvector(string_to_array($2, ' ')))";
const ADD_NO_LEXEMES: &str = "INSERT INTO chunk_lexemes (chunk_key, lexemes) VALUES ($1, ''::tsvector)";
const DROP_LEXEMES: &str = "DELETE FROM chunk_lexemes WHERE chunk_key = $1";
const LISTS: &str = "SELECT q.place, l.chunk_key, c.terms, c.document_key \
     FROM unnest(string_to_array($1, ' ')) WITH ORDINALITY AS q (lexeme, place) \
     JOIN chunk_lexemes l ON l.lexemes @@ CAST(q.lexeme AS tsquery) JOIN chunks c ON c.chunk_key = l.chunk_key";
const EXTENSION: &str = "SELECT (SELECT count(*) FROM pg_extension WHERE extname = 'vector'), \
     (SELECT count(*) FROM pg_available_extensions WHERE name = 'vector')";

/// pgvector makes no HNSW index over longer vectors.
const LONGEST_INDEXED: usize = 2000;
/// Smaller shelves are compared exactly.
const LARGE_SHELF: u64 = 20_000;

fn table(dimension: usize) -> String {
    format!("vector_index_{dimension}")
}

fn make_index(dimension: usize) -> String {
    let table = table(dimension);
    let mut sql = format!(
        "CREATE TABLE IF NOT EXISTS {table} \
         (place_key BIGINT PRIMARY KEY, shelf_key BIGINT NOT NULL, embedding vector({dimension}) NOT NULL); \
         CREATE INDEX IF NOT EXISTS {table}_by_shelf ON {table} (shelf_key);"
    );
    if dimension <= LONGEST_INDEXED {
        sql.push_str(&format!(
            " CREATE INDEX IF NOT EXISTS {table}_nearest ON {table} USING hnsw (embedding vector_ip_ops);"
        ));
    }
    sql
}

impl MemorySession for PostgresSession {
    async fn enter(&self) -> Result<(), Error> {
        self.batch(ENTER).await
    }

    async fn read(&self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        self.rows(sql, params).await
    }

    async fn index_lexemes(&self, chunk_key: i64, lexemes: &str) -> Result<(), Error> {
        let changed = if lexemes.is_empty() {
            self.run(ADD_NO_LEXEMES, &[chunk_key.into()]).await
        } else {
            self.run(ADD_LEXEMES, &[chunk_key.into(), lexemes.into()]).await
        };
        changed.map(|_changed| ())
    }

    async fn unindex_lexemes(&self, chunk_key: i64) -> Result<(), Error> {
        self.run(DROP_LEXEMES, &[chunk_key.into()]).await.map(|_changed| ())
    }

    async fn make_vector_index(&self, dimension: usize) -> Result<(), Error> {
        if let VectorSupport::Missing(reason) = support(self).await? {
            return Err(Error::NoVectors { reason });
        }
        self.batch("CREATE EXTENSION IF NOT EXISTS vector").await.map_err(|error| match error {
            Error::ReadOnly { place, reason } | Error::Database { place, reason } => {
                Error::NoVectors { reason: format!("{place} does not let this user add pgvector ({reason})") }
            }
            other => other,
        })?;
        self.batch(&make_index(dimension)).await
    }

    async fn index_vector(&self, place_key: i64, shelf_key: i64, vector: &[f32]) -> Result<(), Error> {
        let sql = format!(
            "INSERT INTO {} (place_key, shelf_key, embedding) VALUES ($1, $2, CAST(CAST($3 AS TEXT) AS vector))",
            table(vector.len())
        );
        self.run(&sql, &[place_key.into(), shelf_key.into(), as_text(vector)]).await.map(|_changed| ())
    }

    async fn unindex_vector(&self, dimension: usize, place_key: i64) -> Result<(), Error> {
        let sql = format!("DELETE FROM {} WHERE place_key = $1", table(dimension));
        self.run(&sql, &[place_key.into()]).await.map(|_changed| ())
    }
}

async fn support(session: &PostgresSession) -> Result<VectorSupport, Error> {
    let row = session.rows(EXTENSION, &[]).await?.into_iter().next();
    let mut row = row.ok_or_else(|| Error::unreadable("the list of extensions", "it has no row"))?;
    let (installed, available) = (row.int()?, row.int()?);
    if installed + available > 0 {
        return Ok(VectorSupport::Ready);
    }
    let reason = format!("{} has no pgvector extension", session.place());
    Ok(VectorSupport::Missing(reason))
}

pub(super) async fn vector_support(reader: &Reader) -> Result<VectorSupport, Error> {
    match reader {
        Reader::Postgres { pool, server } => support(&server.take(pool).await?).await,
        Reader::Sqlite(_) | Reader::Writer(_) => Ok(VectorSupport::Ready),
    }
}

/// Reads all lists at once: what saves a round trip is worth a look for lists that are empty.
pub(super) async fn postings(session: &PostgresSession, runs: &[Vec<List>], terms: usize) -> Result<Postings, Error> {
    let lists: Vec<&List> = runs.iter().flatten().collect();
    let lexemes: Vec<&str> = lists.iter().map(|list| list.lexeme.as_str()).collect();
    let mut postings = Postings::new(terms);
    if lexemes.is_empty() {
        return Ok(postings);
    }
    for mut row in session.rows(LISTS, &[lexemes.join(" ").into()]).await? {
        let number = usize::try_from(row.int()? - 1).unwrap_or(usize::MAX);
        let chunk_key = row.int()?;
        let place = Place { terms: row.int()?, document_key: row.int()? };
        if let Some(list) = lists.get(number) {
            postings.note(list, chunk_key, place);
        }
    }
    Ok(postings)
}

/// The nearest chunks, best first.
pub(super) async fn nearest(session: &PostgresSession, query: &VectorQuery) -> Result<Vec<Hit>, Error> {
    let candidates = oversample(query.limit);
    // Settings end with the transaction, and so must it, lest the next user of the connection finds it.
    session
        .batch(&format!(
            "BEGIN READ ONLY; SET LOCAL enable_seqscan = on; SET LOCAL jit = off; {}",
            iterative(candidates)
        ))
        .await?;
    let found = look(session, query, candidates).await;
    session.batch("ROLLBACK").await?;
    found
}

/// Tells the HNSW index to go on until enough passed the filter. An older pgvector takes the settings for names that
/// nobody knows, and stops early; then the exact comparison makes up for it.
fn iterative(candidates: usize) -> String {
    format!(
        "SET LOCAL hnsw.ef_search = {}; SET LOCAL hnsw.iterative_scan = strict_order; \
         SET LOCAL hnsw.max_scan_tuples = 200000;",
        candidates.clamp(40, 1000)
    )
}

async fn look(session: &PostgresSession, query: &VectorQuery, candidates: usize) -> Result<Vec<Hit>, Error> {
    let wanted = shelves(query);
    let rows = session.rows(&wanted.sql, &wanted.params).await?;
    let (large, small): (Vec<Shelf>, Vec<Shelf>) = rows
        .into_iter()
        .map(read_shelf)
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .partition(|shelf| shelf.vectors > LARGE_SHELF && query.model.dimension <= LONGEST_INDEXED);
    let mut exactly: Vec<i64> = small.iter().map(|shelf| shelf.key).collect();
    let mut hits = Vec::new();
    for shelf in large {
        let found = hits_of(session, by_index(query, &shelf, candidates)).await?;
        if found.len() < query.limit {
            exactly.push(shelf.key);
        } else {
            hits.extend(found);
        }
    }
    if !exactly.is_empty() {
        hits.extend(hits_of(session, compared(query, &exactly)).await?);
    }
    hits.sort_by(super::text::better);
    hits.truncate(query.limit);
    Ok(hits)
}

const CHUNKS_OF_PLACES: &str = "JOIN vector_places p ON p.place_key = v.place_key \
     JOIN vector_shelves s ON s.shelf_key = p.shelf_key \
     JOIN chunks c ON c.digest = p.digest AND c.namespace_key = s.namespace_key \
     JOIN documents d ON d.document_key = c.document_key \
     JOIN memory_namespaces n ON n.namespace_key = d.namespace_key WHERE ";

/// Asks the index for candidates of one shelf, and takes from them what passes the filter.
fn by_index(query: &VectorQuery, shelf: &Shelf, candidates: usize) -> Statement {
    let mut statement = Statement::new("WITH v AS MATERIALIZED (SELECT place_key, -(embedding <#> ");
    statement.text("CAST(CAST(").value(as_text(&query.vector)).text(" AS TEXT) AS vector)) AS score FROM ");
    statement.text(&table(query.model.dimension)).text(" WHERE shelf_key = ").value(shelf.key);
    statement.text(" ORDER BY embedding <#> CAST(CAST($1 AS TEXT) AS vector) LIMIT ").value(candidates);
    statement.text(") SELECT c.chunk_key, v.score FROM v ").text(CHUNKS_OF_PLACES).filter(&query.filter);
    statement.text(" ORDER BY v.score DESC, c.chunk_key LIMIT ").value(query.limit);
    statement
}

/// Compares all vectors of some shelves that pass the filter.
fn compared(query: &VectorQuery, shelves: &[i64]) -> Statement {
    let mut statement = Statement::new("SELECT c.chunk_key, -(v.embedding <#> ");
    statement.text("CAST(CAST(").value(as_text(&query.vector)).text(" AS TEXT) AS vector)) AS score FROM ");
    statement.text(&table(query.model.dimension)).text(" v ").text(CHUNKS_OF_PLACES);
    statement.any_of("v.shelf_key", shelves.iter().copied()).text(" AND ").filter(&query.filter);
    // An expression that no index has.
    statement.text(" ORDER BY -(v.embedding <#> CAST(CAST($1 AS TEXT) AS vector)) DESC, c.chunk_key LIMIT ");
    statement.value(query.limit);
    statement
}

async fn hits_of(session: &PostgresSession, statement: Statement) -> Result<Vec<Hit>, Error> {
    let read = |mut row: Row| Ok(Hit { chunk: ChunkKey(row.int()?), score: row.float()?, matched: Vec::new() });
    session.rows(&statement.sql, &statement.params).await?.into_iter().map(read).collect()
}
