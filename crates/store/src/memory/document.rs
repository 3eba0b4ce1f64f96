//! Storing documents: rows, chunks, lexemes and places of vectors change together. Leaves out forgetting.

use std::collections::HashMap;

use masque_types::{
    digest::Digest,
    id::{DocumentId, RunId},
    memory::Chunk,
};
use serde_json::Value as Json;

use super::{
    dialect::{MemorySession, unstorable},
    lexemes, places,
    record::{NewDocument, Put},
};
use crate::{
    Error,
    journal::to_json,
    value::{Value, without_nul},
};

/// A document, ready to be stored.
#[derive(Debug)]
pub(crate) struct StoredDocument {
    new: NewDocument,
    metadata: String,
    tags: Vec<String>,
    sources: Vec<String>,
    run: Option<String>,
}

impl StoredDocument {
    pub(crate) fn prepare(new: NewDocument) -> Result<Self, Error> {
        let metadata = &new.document.metadata;
        let texts = |key: &str| {
            let list = metadata.get(key).and_then(Json::as_array);
            let mut texts: Vec<String> = list
                .into_iter()
                .flatten()
                .filter_map(Json::as_str)
                .map(|text| without_nul(text).into_owned())
                .collect();
            texts.sort();
            texts.dedup();
            texts
        };
        let (tags, sources) = (texts("tags"), texts("sources"));
        if let Some(wrong) = sources.iter().find(|source| source.parse::<DocumentId>().is_err()) {
            return Err(unstorable(new.document.id, &format!("its source `{wrong}` is no id of a document")));
        }
        let run = metadata.get("run").and_then(Json::as_str).filter(|run| run.parse::<RunId>().is_ok());
        let run = run.map(ToOwned::to_owned);
        let metadata = to_json("the metadata of a document", metadata)?;
        Ok(Self { metadata: without_nul(&metadata).into_owned(), tags, sources, run, new })
    }
}

const FIND: &str = "SELECT document_key, namespace_key FROM documents WHERE id = $1";
const INSERT: &str = "INSERT INTO documents (id, namespace_key, source, kind, title, media_type, origin, digest, run, \
     changed_at, indexed_at, metadata) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
     RETURNING document_key";
const UPDATE: &str = "UPDATE documents SET namespace_key = $2, source = $3, kind = $4, title = $5, media_type = $6, \
     origin = $7, digest = $8, run = $9, changed_at = $10, indexed_at = $11, metadata = $12 WHERE id = $1 \
     RETURNING document_key";
const ADD_NAMESPACE: &str = "INSERT INTO memory_namespaces (name) VALUES ($1) ON CONFLICT (name) DO NOTHING";
const NAMESPACE: &str = "SELECT namespace_key FROM memory_namespaces WHERE name = $1";
const GROW: &str = "UPDATE memory_namespaces SET chunks = chunks + $2, terms = terms + $3 WHERE namespace_key = $1";
const DROP_TAGS: &str = "DELETE FROM document_tags WHERE document_key = $1";
const ADD_TAG: &str = "INSERT INTO document_tags (document_key, tag) VALUES ($1, $2)";
const DROP_SOURCES: &str = "DELETE FROM document_sources WHERE document_key = $1";
const ADD_SOURCE: &str = "INSERT INTO document_sources (source, document_key) VALUES ($1, $2)";
const OWN_CHUNKS: &str =
    "SELECT chunk_key, digest, terms, lexemes FROM chunks WHERE document_key = $1 ORDER BY ordinal";
const ADD_CHUNK: &str = "INSERT INTO chunks (document_key, namespace_key, ordinal, digest, first_line, last_line, \
     tokens, terms, lexemes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING chunk_key";
const ADD_TEXT: &str = "INSERT INTO chunk_texts (chunk_key, headings, text) VALUES ($1, $2, $3)";
const MOVE_CHUNK: &str = "UPDATE chunks SET ordinal = $2, first_line = $3, last_line = $4, tokens = $5, terms = $6, \
     lexemes = $7 WHERE chunk_key = $1";
const DROP_TEXT: &str = "DELETE FROM chunk_texts WHERE chunk_key = $1";
const DROP_CHUNK: &str = "DELETE FROM chunks WHERE chunk_key = $1";
const DROP_DOCUMENT: &str = "DELETE FROM documents WHERE document_key = $1";

/// A chunk as it was stored.
#[derive(Debug)]
struct OldChunk {
    chunk_key: i64,
    digest: Digest,
    terms: i64,
    lexemes: Digest,
}

/// How the size of a namespace changes.
#[derive(Debug, Default)]
struct Growth {
    chunks: i64,
    terms: i64,
}

pub(crate) async fn put<S: MemorySession>(session: &S, stored: &StoredDocument) -> Result<Put, Error> {
    let document = &stored.new.document;
    let namespace_key = namespace_key(session, &document.namespace.to_string()).await?;
    let document_key = put_row(session, stored, namespace_key).await?;
    put_links(session, stored, document_key).await?;
    let mut old: HashMap<Digest, Vec<OldChunk>> = HashMap::new();
    for chunk in own_chunks(session, document_key).await?.into_iter().rev() {
        old.entry(chunk.digest).or_default().push(chunk);
    }
    let (mut put, mut growth) = (Put::default(), Growth::default());
    for new in &stored.new.chunks {
        let lexemes = lexemes::of_chunk(namespace_key, new);
        let terms = i64::try_from(new.heading_terms.len() + new.body_terms.len()).unwrap_or(i64::MAX);
        growth.terms += terms;
        if let Some(kept) = old.get_mut(&new.chunk.digest).and_then(Vec::pop) {
            growth.terms -= kept.terms;
            keep(session, &kept, &new.chunk, terms, &lexemes).await?;
            put.kept += 1;
        } else {
            add(session, (document_key, namespace_key), &new.chunk, terms, &lexemes).await?;
            growth.chunks += 1;
            put.added += 1;
        }
    }
    for gone in old.into_values().flatten() {
        growth.chunks -= 1;
        growth.terms -= gone.terms;
        put.removed += 1;
        drop_chunk(session, &gone, namespace_key).await?;
    }
    grow(session, namespace_key, &growth).await?;
    Ok(put)
}

async fn namespace_key<S: MemorySession>(session: &S, name: &str) -> Result<i64, Error> {
    session.execute(ADD_NAMESPACE, &[name.into()]).await?;
    match session.query_one(NAMESPACE, &[name.into()]).await? {
        Some(mut row) => row.int(),
        None => Err(Error::unreadable(format!("the namespace {name}"), "it is gone as soon as it was made")),
    }
}

async fn put_row<S: MemorySession>(session: &S, stored: &StoredDocument, namespace_key: i64) -> Result<i64, Error> {
    let document = &stored.new.document;
    let id = document.id.to_string();
    let found = session.query_one(FIND, &[id.as_str().into()]).await?;
    let sql = match found {
        None => INSERT,
        Some(mut row) => {
            row.int()?;
            if row.int()? != namespace_key {
                return Err(unstorable(document.id, "its id is that of a document in another namespace"));
            }
            UPDATE
        }
    };
    let params: [Value<'_>; 12] = [
        id.as_str().into(),
        namespace_key.into(),
        without_nul(&document.source).into_owned().into(),
        document.kind.name().into(),
        without_nul(&document.title).into_owned().into(),
        without_nul(&document.media_type).into_owned().into(),
        document.origin.name().into(),
        (&document.digest).into(),
        stored.run.as_deref().into(),
        document.changed_at.into(),
        document.indexed_at.into(),
        stored.metadata.as_str().into(),
    ];
    match session.query_one(sql, &params).await? {
        Some(mut row) => row.int(),
        None => Err(unstorable(document.id, "it is gone while it is being stored")),
    }
}

async fn put_links<S: MemorySession>(session: &S, stored: &StoredDocument, document_key: i64) -> Result<(), Error> {
    session.execute(DROP_TAGS, &[document_key.into()]).await?;
    for tag in &stored.tags {
        session.execute(ADD_TAG, &[document_key.into(), tag.as_str().into()]).await?;
    }
    session.execute(DROP_SOURCES, &[document_key.into()]).await?;
    for source in &stored.sources {
        session.execute(ADD_SOURCE, &[source.as_str().into(), document_key.into()]).await?;
    }
    Ok(())
}

async fn own_chunks<S: MemorySession>(session: &S, document_key: i64) -> Result<Vec<OldChunk>, Error> {
    let rows = session.query(OWN_CHUNKS, &[document_key.into()]).await?;
    let read = |mut row: crate::value::Row| {
        Ok(OldChunk { chunk_key: row.int()?, digest: row.digest()?, terms: row.int()?, lexemes: row.digest()? })
    };
    rows.into_iter().map(read).collect()
}

/// Leaves a chunk under its key; its place may be another one now, and so may be the title that it is found by.
async fn keep<S: MemorySession>(
    session: &S,
    old: &OldChunk,
    chunk: &Chunk,
    terms: i64,
    lexemes: &str,
) -> Result<(), Error> {
    let fingerprint = lexemes::fingerprint(lexemes);
    if fingerprint != old.lexemes {
        session.unindex_lexemes(old.chunk_key).await?;
        session.index_lexemes(old.chunk_key, lexemes).await?;
    }
    let params = [
        old.chunk_key.into(),
        i64::from(chunk.ordinal).into(),
        i64::from(chunk.lines.0).into(),
        i64::from(chunk.lines.1).into(),
        i64::from(chunk.tokens).into(),
        terms.into(),
        (&fingerprint).into(),
    ];
    session.execute(MOVE_CHUNK, &params).await.map(|_changed| ())
}

async fn add<S: MemorySession>(
    session: &S,
    (document_key, namespace_key): (i64, i64),
    chunk: &Chunk,
    terms: i64,
    lexemes: &str,
) -> Result<(), Error> {
    let fingerprint = lexemes::fingerprint(lexemes);
    let params = [
        document_key.into(),
        namespace_key.into(),
        i64::from(chunk.ordinal).into(),
        (&chunk.digest).into(),
        i64::from(chunk.lines.0).into(),
        i64::from(chunk.lines.1).into(),
        i64::from(chunk.tokens).into(),
        terms.into(),
        (&fingerprint).into(),
    ];
    let row = session.query_one(ADD_CHUNK, &params).await?;
    let mut row = row.ok_or_else(|| Error::unreadable("a new chunk", "it got no key"))?;
    let chunk_key = row.int()?;
    let headings = to_json("the headings of a chunk", &chunk.headings)?;
    let text =
        [chunk_key.into(), without_nul(&headings).into_owned().into(), without_nul(&chunk.text).into_owned().into()];
    session.execute(ADD_TEXT, &text).await?;
    session.index_lexemes(chunk_key, lexemes).await?;
    places::add(session, namespace_key, &chunk.digest).await
}

async fn drop_chunk<S: MemorySession>(session: &S, chunk: &OldChunk, namespace_key: i64) -> Result<(), Error> {
    session.unindex_lexemes(chunk.chunk_key).await?;
    session.execute(DROP_TEXT, &[chunk.chunk_key.into()]).await?;
    session.execute(DROP_CHUNK, &[chunk.chunk_key.into()]).await?;
    places::remove(session, namespace_key, &chunk.digest).await
}

async fn grow<S: MemorySession>(session: &S, namespace_key: i64, growth: &Growth) -> Result<(), Error> {
    let params = [namespace_key.into(), growth.chunks.into(), growth.terms.into()];
    session.execute(GROW, &params).await.map(|_changed| ())
}

/// Removes a document with all that belongs to it; returns how many chunks it had.
pub(super) async fn drop_document<S: MemorySession>(
    session: &S,
    document_key: i64,
    namespace_key: i64,
) -> Result<usize, Error> {
    let chunks = own_chunks(session, document_key).await?;
    let mut growth = Growth::default();
    for chunk in &chunks {
        growth.chunks -= 1;
        growth.terms -= chunk.terms;
        drop_chunk(session, chunk, namespace_key).await?;
    }
    grow(session, namespace_key, &growth).await?;
    for sql in [DROP_TAGS, DROP_SOURCES, DROP_DOCUMENT] {
        session.execute(sql, &[document_key.into()]).await?;
    }
    Ok(chunks.len())
}
