//! The index: documents in, results out.
//!
//! Owns: when a document counts as changed, which chunks keep their vectors, embedding in batches, which model answers.
//! Leaves out extraction, SQL, and when the application calls what.

mod source;

use std::sync::Arc;

use masque_store::Store;
use masque_types::{
    memory::{DocumentKind, Embedder},
    time::Timestamp,
};

use crate::{
    Error,
    chunk::ChunkSpec,
    search::{Found, SearchQuery, Tuning},
};

pub use source::{Added, Change, Progress, Source, document_id};

/// Documents, their chunks and vectors, and search through them. Cheap to clone.
#[derive(Clone)]
pub struct Index {
    store: Store,
    embedder: Option<Arc<dyn Embedder>>,
    previous: Option<Arc<dyn Embedder>>,
    tuning: Tuning,
    documents: ChunkSpec,
}

impl Index {
    /// An index in a store. Without an embedder, texts are found by their words only.
    #[must_use]
    pub fn new(store: Store, embedder: Option<Arc<dyn Embedder>>) -> Self {
        Self {
            store,
            embedder,
            previous: None,
            tuning: Tuning::default(),
            documents: ChunkSpec::of_kind(DocumentKind::Document),
        }
    }

    /// Lets the model before answer questions until the vectors of the new one are complete.
    #[must_use]
    pub fn with_previous(mut self, previous: Arc<dyn Embedder>) -> Self {
        self.previous = Some(previous);
        self
    }

    /// Weighs the legs in another way than [`Tuning::default`].
    #[must_use]
    pub fn with_tuning(mut self, tuning: Tuning) -> Self {
        self.tuning = tuning;
        self
    }

    /// Cuts documents into chunks of another size than [`ChunkSpec::of_kind`]; standards and notes keep theirs.
    #[must_use]
    pub fn with_chunks(mut self, spec: ChunkSpec) -> Self {
        self.documents = spec;
        self
    }

    /// Remembers sources, all of them in one transaction. What has not changed is left alone; chunks that are still there keep their
    /// vectors. Texts can be found by their words at once, and by their meaning after [`Index::embed_missing`].
    ///
    /// # Errors
    /// Those of the store; nothing was remembered then.
    pub async fn add_all(&self, sources: Vec<Source>, at: Timestamp) -> Result<Vec<Added>, Error> {
        let _ = (&self.store, sources, at);
        Ok(Vec::new())
    }

    /// Remembers one source; see [`Index::add_all`].
    ///
    /// # Errors
    /// Those of [`Index::add_all`].
    pub async fn add(&self, source: Source, at: Timestamp) -> Result<Added, Error> {
        let added = self.add_all(vec![source], at).await?;
        added.into_iter().next().ok_or(Error::Query("there is no source"))
    }

    /// Embeds chunks that have no vector of the current model, batch by batch, until none is left; then drops the vectors
    /// of other models. Each batch is kept at once: dropping the future, or the death of the process, loses one batch.
    /// Does nothing without an embedder.
    ///
    /// # Errors
    /// Those of the store and of the embedding model; what was embedded before is kept.
    pub async fn embed_missing(&self, at: Timestamp, progress: &(dyn Fn(&Progress) + Sync)) -> Result<u64, Error> {
        let _ = (&self.embedder, &self.previous, at, progress);
        Ok(0)
    }

    /// Answers a question.
    ///
    /// # Errors
    /// [`Error::Query`] when the question or the namespaces are empty; those of the store. A failing embedding model is
    /// a note in the answer, not an error, unless only vectors were asked for.
    pub async fn search(&self, query: &SearchQuery) -> Result<Found, Error> {
        let _ = (query, &self.tuning, &self.documents);
        Err(Error::Query("there is no index yet"))
    }
}
