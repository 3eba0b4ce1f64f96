//! From sources to stored documents. Leaves out the transaction, which is the store's.

use std::collections::HashSet;

use masque_store::{NewChunk, NewDocument, Put};
use masque_types::{
    memory::{Chunk, Document},
    time::Timestamp,
};

use super::{Added, Change, Index, Source, document_id};
use crate::{
    Error,
    chunk::{self, ChunkSpec, Text},
    terms,
};

/// What is done with a source that is remembered as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unchanged {
    Skip,
    CutAgain,
}

pub(super) async fn add_all(
    index: &Index,
    sources: Vec<Source>,
    at: Timestamp,
    unchanged: Unchanged,
) -> Result<Vec<Added>, Error> {
    let mut added: Vec<Added> = Vec::with_capacity(sources.len());
    let mut changed: Vec<(Source, ChunkSpec)> = Vec::new();
    let mut places = Vec::new();
    let mut seen = HashSet::new();
    // The last one of the same source in a batch is the one that stays.
    for (place, source) in sources.into_iter().enumerate().rev() {
        let id = document_id(&source.namespace, &source.source);
        let before = index.store.document(id).await?;
        let same = before.as_ref().is_some_and(|before| is_same(before, &source));
        let change = if !seen.insert(id) || (same && unchanged == Unchanged::Skip) {
            Change::None
        } else if before.is_some() {
            Change::Replaced
        } else {
            Change::New
        };
        if change != Change::None {
            let spec = index.chunks_of(source.kind);
            changed.push((source, spec));
            places.push(place);
        }
        added.push(Added { document: id, change, chunks: 0, new_chunks: 0 });
    }
    added.reverse();
    if changed.is_empty() {
        return Ok(added);
    }
    let documents = prepare(changed, at).await?;
    let counts: Vec<usize> = documents.iter().map(|document| document.chunks.len()).collect();
    let puts: Vec<Put> = index.store.put_documents(documents).await?;
    for ((place, chunks), put) in places.into_iter().zip(counts).zip(puts) {
        if let Some(added) = added.get_mut(place) {
            (added.chunks, added.new_chunks) = (chunks, put.added);
        }
    }
    Ok(added)
}

/// Whether nothing would change. The time of the change is no change: tools touch files without changing them.
fn is_same(before: &Document, source: &Source) -> bool {
    before.digest == source.digest
        && before.kind == source.kind
        && before.title == source.title
        && before.media_type == source.media_type
        && before.origin == source.origin
        && before.metadata == source.metadata
}

/// Cutting and stemming take time that belongs to no task of the runtime.
async fn prepare(sources: Vec<(Source, ChunkSpec)>, at: Timestamp) -> Result<Vec<NewDocument>, Error> {
    let work = move || sources.into_iter().map(|(source, spec)| document(source, &spec, at)).collect();
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Io(std::io::Error::other(error)))
}

fn document(source: Source, spec: &ChunkSpec, at: Timestamp) -> NewDocument {
    let text = Text { title: &source.title, media_type: &source.media_type, text: &source.text };
    let chunks = chunk::chunks(&text, spec).into_iter().map(new_chunk).collect();
    let document = Document {
        id: document_id(&source.namespace, &source.source),
        namespace: source.namespace,
        source: source.source,
        kind: source.kind,
        title: source.title,
        media_type: source.media_type,
        origin: source.origin,
        digest: source.digest,
        changed_at: source.changed_at,
        indexed_at: at,
        metadata: source.metadata,
    };
    NewDocument { document, chunks }
}

/// A chunk with the terms that it is found by. The title is the first of its headings.
pub(crate) fn new_chunk(chunk: Chunk) -> NewChunk {
    let heading_terms = terms::of_text(&chunk.headings.join("\n"));
    let body_terms = terms::of_text(&chunk.text);
    NewChunk { chunk, heading_terms, body_terms }
}
