//! What is given to the index, and what it says about it. Leaves out indexing.

use masque_types::{
    digest::Digest,
    id::DocumentId,
    memory::{DocumentKind, Namespace, Origin},
    time::Timestamp,
};
use serde::Serialize;
use serde_json::{Map, Value};

/// An extracted document that is to be remembered.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Who may read it.
    pub namespace: Namespace,
    /// Where it came from; one document for each namespace and source.
    pub source: String,
    /// What it is.
    pub kind: DocumentKind,
    /// Its title; empty when it has none.
    pub title: String,
    /// Media type of what it was extracted from.
    pub media_type: String,
    /// Whether it may be taken at its word.
    pub origin: Origin,
    /// Digest of the bytes that it was extracted from, or of the text when there were none.
    pub digest: Digest,
    /// Its text, Markdown where the format has headings.
    pub text: String,
    /// When its content was last changed.
    pub changed_at: Timestamp,
    /// Whatever else is known: `tags`, `sources`, `supersedes`, `contradicts`, `run`.
    pub metadata: Map<String, Value>,
}

/// The id of the document that a namespace has from a source.
#[must_use]
pub fn document_id(namespace: &Namespace, source: &str) -> DocumentId {
    DocumentId::derive(&Digest::of_parts([namespace.to_string().as_bytes(), source.as_bytes()]))
}

/// What happened to a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Added {
    /// Its document.
    pub document: DocumentId,
    /// What changed.
    pub change: Change,
    /// How many chunks the document has.
    pub chunks: usize,
    /// How many of them it did not have before.
    pub new_chunks: usize,
}

/// What indexing a source changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Nothing: it was there with the same bytes and the same properties.
    None,
    /// It is new.
    New,
    /// It took the place of what was there.
    Replaced,
}

/// How far embedding is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Whose vectors are being made.
    pub model: String,
    /// Chunks that were embedded by this call.
    pub done: u64,
    /// Chunks that have no vector of the model yet.
    pub missing: u64,
}
