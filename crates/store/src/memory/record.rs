//! What goes into and comes out of the memory's tables. Leaves out the SQL, and what the records mean.

use std::collections::BTreeMap;

use masque_types::{
    digest::Digest,
    id::{DocumentId, RunId},
    memory::{Chunk, Document, DocumentKind, EmbeddingModel, Namespace, Origin},
    time::Timestamp,
};
use serde::Serialize;

/// Names one chunk as long as its document keeps it. It is a key of this database and means nothing elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkKey(pub(crate) i64);

/// A document with all its chunks, as it is to be found from now on.
///
/// `document.metadata` is looked into for what is kept in columns: `tags` (texts), `sources` (ids of the documents that
/// this one summarises: it is forgotten with the first of them), `run` (the run that it came from).
#[derive(Debug, Clone)]
pub struct NewDocument {
    /// The document; its id is derived from namespace and source.
    pub document: Document,
    /// Its chunks, in order.
    pub chunks: Vec<NewChunk>,
}

/// A chunk with the terms that it is found by.
#[derive(Debug, Clone)]
pub struct NewChunk {
    /// The chunk.
    pub chunk: Chunk,
    /// Normalised terms of title and headings, in order, with repetitions: letters and digits of any script only.
    pub heading_terms: Vec<String>,
    /// Normalised terms of the text, likewise.
    pub body_terms: Vec<String>,
}

/// What storing a document changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Put {
    /// Chunks that were not there before.
    pub added: usize,
    /// Chunks that are gone.
    pub removed: usize,
    /// Chunks that stayed, wherever in the document they are now.
    pub kept: usize,
}

/// Which documents. An empty list of namespaces selects nothing: who asks names what it may read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryFilter {
    /// Only of these namespaces.
    pub namespaces: Vec<Namespace>,
    /// Only of these kinds; all when empty.
    pub kinds: Vec<DocumentKind>,
    /// Only with this origin.
    pub origin: Option<Origin>,
    /// Only with all these tags.
    pub tags: Vec<String>,
    /// Only what changed at or after this time.
    pub since: Option<Timestamp>,
    /// Only what changed before this time.
    pub until: Option<Timestamp>,
    /// Only sources that begin so.
    pub source_prefix: Option<String>,
}

impl MemoryFilter {
    /// All documents of some namespaces.
    #[must_use]
    pub fn of(namespaces: impl IntoIterator<Item = Namespace>) -> Self {
        Self { namespaces: namespaces.into_iter().collect(), ..Self::default() }
    }

    /// Whether anything but the namespace matters.
    pub(crate) fn narrows(&self) -> bool {
        !self.kinds.is_empty()
            || self.origin.is_some()
            || !self.tags.is_empty()
            || self.since.is_some()
            || self.until.is_some()
            || self.source_prefix.is_some()
    }
}

/// One page of documents, by namespace and source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFilter {
    /// Which.
    pub filter: MemoryFilter,
    /// After this namespace and source: the last ones of the page before.
    pub after: Option<(Namespace, String)>,
    /// At most so many.
    pub limit: usize,
}

/// What is to be forgotten. What several fields say must all hold; a filter that says nothing forgets nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForgetFilter {
    /// Only in these namespaces; must not be empty.
    pub namespaces: Vec<Namespace>,
    /// These documents.
    pub ids: Vec<DocumentId>,
    /// Exactly these sources.
    pub sources: Vec<String>,
    /// Sources that begin so.
    pub source_prefix: Option<String>,
    /// With this origin.
    pub origin: Option<Origin>,
    /// Of these kinds; all when empty. Says nothing by itself.
    pub kinds: Vec<DocumentKind>,
    /// What this run made.
    pub run: Option<RunId>,
    /// What changed before this time.
    pub before: Option<Timestamp>,
    /// Everything in the namespaces, when nothing else is said.
    pub everything: bool,
}

impl ForgetFilter {
    /// Whether it selects anything at all.
    pub(crate) fn says_something(&self) -> bool {
        self.everything
            || !self.ids.is_empty()
            || !self.sources.is_empty()
            || self.source_prefix.is_some()
            || self.origin.is_some()
            || self.run.is_some()
            || self.before.is_some()
    }
}

/// What was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Forgotten {
    /// The documents that are gone; summaries that went with their sources among them.
    pub documents: Vec<ForgottenDocument>,
    /// How many chunks went with them.
    pub chunks: usize,
}

/// A document that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForgottenDocument {
    /// Its id.
    pub id: DocumentId,
    /// Who could read it.
    pub namespace: Namespace,
    /// Where it came from.
    pub source: String,
}

/// A search for terms by BM25 (Robertson & Zaragoza 2009) with the always positive idf of Lucene,
/// `ln(1 + (N - n + 0.5) / (n + 0.5))`. N, n and the average length are those of the searched namespaces, so that
/// nothing outside them changes an order.
#[derive(Debug, Clone, PartialEq)]
pub struct TextQuery {
    /// Which documents.
    pub filter: MemoryFilter,
    /// The normalised terms, each with its weight (1 for an ordinary one).
    pub terms: Vec<(String, f64)>,
    /// How many occurrences in the text one in the headings counts for.
    pub heading_weight: f64,
    /// How soon repetitions stop to count; 1.2 is usual.
    pub k1: f64,
    /// How much long chunks pay for their length, from 0 to 1; 0.75 is usual.
    pub b: f64,
    /// At most so many.
    pub limit: usize,
}

impl TextQuery {
    /// A query with the usual parameters.
    #[must_use]
    pub fn new(filter: MemoryFilter, terms: impl IntoIterator<Item = String>, limit: usize) -> Self {
        let terms = terms.into_iter().map(|term| (term, 1.0)).collect();
        Self { filter, terms, heading_weight: 1.0, k1: 1.2, b: 0.75, limit }
    }
}

/// A search by a vector.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorQuery {
    /// Which documents.
    pub filter: MemoryFilter,
    /// Whose vectors.
    pub model: EmbeddingModel,
    /// The query's vector, of unit length.
    pub vector: Vec<f32>,
    /// At most so many.
    pub limit: usize,
}

/// A chunk that a leg of the search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// Which.
    pub chunk: ChunkKey,
    /// Of a text query the BM25 score, of a vector query the cosine. The best comes first.
    pub score: f64,
    /// Of a text query: which of its terms matched, by their place in the query.
    pub matched: Vec<usize>,
}

/// A chunk with its document.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredChunk {
    /// Its key.
    pub key: ChunkKey,
    /// Its document.
    pub document: Document,
    /// The chunk.
    pub chunk: Chunk,
}

/// A text that has no vector of some model yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unembedded {
    /// The chunk's digest, which its vector is stored under.
    pub digest: Digest,
    /// The title of a document that it is in.
    pub title: String,
    /// The headings above it.
    pub headings: Vec<String>,
    /// Its text.
    pub text: String,
}

/// A model that has vectors here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredModel {
    /// The model.
    pub model: EmbeddingModel,
    /// How many vectors it has.
    pub vectors: usize,
    /// How many different chunk texts there are that it has none for.
    pub missing: usize,
}

/// How much is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct MemoryStats {
    /// Per namespace: documents, chunks, estimated tokens.
    pub namespaces: BTreeMap<Namespace, NamespaceStats>,
    /// Whose vectors there are.
    pub models: Vec<StoredModel>,
}

/// How much is remembered in one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct NamespaceStats {
    /// Documents.
    pub documents: usize,
    /// Of them untrusted.
    pub untrusted: usize,
    /// Chunks.
    pub chunks: usize,
    /// Estimated tokens in all chunks.
    pub tokens: usize,
}

/// Whether vectors can be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VectorSupport {
    /// They can.
    Ready,
    /// They cannot, and full-text search alone works; why, and what to do.
    Missing(String),
}
