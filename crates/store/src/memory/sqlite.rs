//! The memory on SQLite: full text by FTS5, whose posting lists are read through its vocabulary table.

use super::{
    codes,
    dialect::MemorySession,
    sqlite_vectors,
    text::{List, Place, Postings},
};
use crate::{
    Error,
    dialect::sqlite::SqliteSession,
    value::{Row, Value},
};

/// The full-text index: posting lists only, no texts, no positions; each lexeme is a token as it stands.
pub(crate) const LEXEMES: &str = "CREATE VIRTUAL TABLE chunk_lexemes USING fts5 \
     (lexemes, content = '', contentless_delete = 1, detail = none, tokenize = \"ascii tokenchars '_'\");\n\
     CREATE VIRTUAL TABLE chunk_lexeme_lists USING fts5vocab (chunk_lexemes, instance);";

const ADD_LEXEMES: &str = "INSERT INTO chunk_lexemes (rowid, lexemes) VALUES ($1, $2)";
const DROP_LEXEMES: &str = "DELETE FROM chunk_lexemes WHERE rowid = $1";
const LIST: &str = "SELECT l.doc, c.terms, c.document_key FROM chunk_lexeme_lists l \
     CROSS JOIN chunks c ON c.chunk_key = l.doc WHERE l.term = $1";

impl MemorySession for SqliteSession {
    async fn enter(&self) -> Result<(), Error> {
        // The transaction has the lock for writing already.
        Ok(())
    }

    async fn read(&self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, Error> {
        self.rows(sql, params)
    }

    async fn index_lexemes(&self, chunk_key: i64, lexemes: &str) -> Result<(), Error> {
        self.run(ADD_LEXEMES, &[chunk_key.into(), lexemes.into()]).map(|_changed| ())
    }

    async fn unindex_lexemes(&self, chunk_key: i64) -> Result<(), Error> {
        self.run(DROP_LEXEMES, &[chunk_key.into()]).map(|_changed| ())
    }

    async fn make_vector_index(&self, dimension: usize) -> Result<(), Error> {
        self.batch(&sqlite_vectors::make_index(dimension))
    }

    async fn index_vector(&self, place_key: i64, shelf_key: i64, vector: &[f32]) -> Result<(), Error> {
        let code = codes::code(vector);
        let sql = sqlite_vectors::add_code(vector.len());
        self.run(&sql, &[place_key.into(), shelf_key.into(), code.as_slice().into()]).map(|_changed| ())
    }

    async fn unindex_vector(&self, dimension: usize, place_key: i64) -> Result<(), Error> {
        self.run(&sqlite_vectors::drop_code(dimension), &[place_key.into()]).map(|_changed| ())
    }
}

/// Reads posting lists; of a run no list behind an empty one.
pub(super) fn postings(session: &SqliteSession, runs: &[Vec<List>], terms: usize) -> Result<Postings, Error> {
    let mut postings = Postings::new(terms);
    session.snapshot(|| {
        for run in runs {
            for list in run {
                let mut empty = true;
                session.each(LIST, &[list.lexeme.as_str().into()], |row| {
                    empty = false;
                    let place = Place { terms: row.get(1)?, document_key: row.get(2)? };
                    postings.note(list, row.get(0)?, place);
                    Ok(())
                })?;
                if empty {
                    break;
                }
            }
        }
        Ok(())
    })?;
    Ok(postings)
}
