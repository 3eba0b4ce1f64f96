//! Reading documents and chunks. Leaves out searching.

use std::collections::HashMap;

use masque_types::{
    id::DocumentId,
    memory::{Chunk, Document, DocumentKind, Origin},
    time::Timestamp,
};

use super::{
    record::{ChunkKey, DocumentFilter, StoredChunk},
    sql::Statement,
};
use crate::{Error, runs::id_range, store::Reader, value::Row};

/// So many values fit into one statement on both databases.
const VALUES: usize = 500;

macro_rules! document_columns {
    () => {
        "d.id, n.name, d.source, d.kind, d.title, d.media_type, d.origin, d.digest, d.changed_at, d.indexed_at, d.metadata"
    };
}

const DOCUMENTS: &str = concat!(
    "SELECT ",
    document_columns!(),
    " FROM documents d JOIN memory_namespaces n ON n.namespace_key = d.namespace_key WHERE "
);
const CHUNKS: &str = "SELECT c.ordinal, t.headings, t.text, c.first_line, c.last_line, c.tokens, c.digest \
     FROM documents d JOIN chunks c ON c.document_key = d.document_key JOIN chunk_texts t ON t.chunk_key = c.chunk_key \
     WHERE d.id = $1 ORDER BY c.ordinal";
const STORED: &str = concat!(
    "SELECT c.chunk_key, c.ordinal, t.headings, t.text, c.first_line, c.last_line, c.tokens, c.digest, ",
    document_columns!(),
    " FROM chunks c JOIN chunk_texts t ON t.chunk_key = c.chunk_key ",
    "JOIN documents d ON d.document_key = c.document_key ",
    "JOIN memory_namespaces n ON n.namespace_key = d.namespace_key WHERE "
);
const FIND: &str = "SELECT id FROM documents WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3";

pub(super) async fn documents(reader: &Reader, wanted: &DocumentFilter) -> Result<Vec<Document>, Error> {
    let mut statement = Statement::new(DOCUMENTS);
    statement.filter(&wanted.filter);
    if let Some((namespace, source)) = &wanted.after {
        let name = namespace.to_string();
        statement.text(" AND (n.name > ").value(name.clone()).text(" OR (n.name = ").value(name);
        statement.text(" AND d.source > ").value(source.clone()).text("))");
    }
    statement.text(" ORDER BY n.name, d.source LIMIT ").value(wanted.limit);
    let rows = reader.query(statement.sql, statement.params).await?;
    rows.into_iter().map(|mut row| document(&mut row)).collect()
}

pub(super) async fn one(reader: &Reader, id: DocumentId) -> Result<Option<Document>, Error> {
    let mut statement = Statement::new(DOCUMENTS);
    statement.text("d.id = ").value(id.to_string());
    let row = reader.query(statement.sql, statement.params).await?.into_iter().next();
    row.map(|mut row| document(&mut row)).transpose()
}

pub(super) async fn find(reader: &Reader, beginning: &str) -> Result<Vec<DocumentId>, Error> {
    let Some(params) = id_range(DocumentId::PREFIX, beginning) else { return Ok(Vec::new()) };
    reader.query(FIND, params).await?.into_iter().map(|mut row| row.parsed()).collect()
}

pub(super) async fn chunks(reader: &Reader, id: DocumentId) -> Result<Vec<Chunk>, Error> {
    let rows = reader.query(CHUNKS, vec![id.to_string().into()]).await?;
    rows.into_iter().map(|mut row| chunk(&mut row)).collect()
}

/// In the order of the keys.
pub(super) async fn stored(reader: &Reader, keys: &[ChunkKey]) -> Result<Vec<StoredChunk>, Error> {
    let mut found = HashMap::new();
    for keys in keys.chunks(VALUES) {
        let mut statement = Statement::new(STORED);
        statement.any_of("c.chunk_key", keys.iter().map(|key| key.0));
        for mut row in reader.query(statement.sql, statement.params).await? {
            let key = ChunkKey(row.int()?);
            let chunk = chunk(&mut row)?;
            found.insert(key, StoredChunk { key, chunk, document: document(&mut row)? });
        }
    }
    Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
}

fn document(row: &mut Row) -> Result<Document, Error> {
    let id: DocumentId = row.parsed()?;
    let unreadable = |reason: String| Error::unreadable(format!("document {id}"), reason);
    let (namespace, source, kind) = (row.parsed()?, row.text()?, row.text()?);
    let (title, media_type, origin) = (row.text()?, row.text()?, row.text()?);
    let (digest, changed_at, indexed_at) = (row.digest()?, Timestamp(row.int()?), Timestamp(row.int()?));
    let metadata = row.text()?;
    Ok(Document {
        id,
        namespace,
        source,
        kind: DocumentKind::from_name(&kind).ok_or_else(|| unreadable(format!("`{kind}` is no kind")))?,
        title,
        media_type,
        origin: Origin::from_name(&origin).ok_or_else(|| unreadable(format!("`{origin}` is no origin")))?,
        digest,
        changed_at,
        indexed_at,
        metadata: serde_json::from_str(&metadata).map_err(|error| unreadable(error.to_string()))?,
    })
}

fn chunk(row: &mut Row) -> Result<Chunk, Error> {
    let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let (ordinal, headings, text) = (narrow(row.count()?), row.text()?, row.text()?);
    let headings =
        serde_json::from_str(&headings).map_err(|error| Error::unreadable("the headings of a stored chunk", error))?;
    let lines = (narrow(row.count()?), narrow(row.count()?));
    Ok(Chunk { ordinal, headings, text, lines, tokens: narrow(row.count()?), digest: row.digest()? })
}
