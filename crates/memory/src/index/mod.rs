//! The index: documents in, results out.
//!
//! Owns: when a document counts as changed, which chunks keep their vectors, embedding in batches, which model answers.
//! Leaves out extraction, SQL, and when the application calls what.

mod add;
mod cache;
mod source;
mod vectors;

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
use cache::Caches;

pub(crate) use add::new_chunk;
pub use source::{Added, Change, Progress, Source, document_id};
pub(crate) use vectors::{Serving, Vectors};

/// Documents, their chunks and vectors, and search through them. Cheap to clone.
#[derive(Clone)]
pub struct Index {
    store: Store,
    embedder: Option<Arc<dyn Embedder>>,
    previous: Option<Arc<dyn Embedder>>,
    tuning: Tuning,
    documents: ChunkSpec,
    caches: Arc<Caches>,
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
            caches: Arc::default(),
        }
    }

    /// Lets the model before answer questions until the vectors of the new one are complete.
    #[must_use]
    pub fn with_previous(mut self, previous: Arc<dyn Embedder>) -> Self {
        self.previous = Some(previous);
        self.caches = Arc::default();
        self
    }

    /// Weighs the legs in another way than [`Tuning::default`].
    #[must_use]
    pub fn with_tuning(mut self, tuning: Tuning) -> Self {
        self.tuning = tuning;
        self.caches = Arc::default();
        self
    }

    /// Cuts documents into chunks of another size than [`ChunkSpec::of_kind`]; standards and notes keep theirs.
    #[must_use]
    pub fn with_chunks(mut self, spec: ChunkSpec) -> Self {
        self.documents = spec;
        self
    }

    /// Where it is kept.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) const fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// How documents of a kind are cut.
    #[must_use]
    pub const fn chunks_of(&self, kind: DocumentKind) -> ChunkSpec {
        match kind {
            DocumentKind::Document => self.documents,
            other => ChunkSpec::of_kind(other),
        }
    }

    /// Remembers sources, all of them in one transaction. What has not changed is left alone; chunks that are still there
    /// keep their vectors. Texts can be found by their words at once, and by their meaning after
    /// [`Index::embed_missing`].
    ///
    /// # Errors
    /// Those of the store; nothing was remembered then.
    pub async fn add_all(&self, sources: Vec<Source>, at: Timestamp) -> Result<Vec<Added>, Error> {
        add::add_all(self, sources, at, add::Unchanged::Skip).await
    }

    /// Like [`Index::add_all`], and cuts what has not changed anew too: after a change of the size of chunks.
    ///
    /// # Errors
    /// Those of the store; nothing was remembered then.
    pub async fn add_again(&self, sources: Vec<Source>, at: Timestamp) -> Result<Vec<Added>, Error> {
        add::add_all(self, sources, at, add::Unchanged::CutAgain).await
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
    /// Does nothing without an embedder, or where the database keeps no vectors. Returns how many were embedded.
    ///
    /// # Errors
    /// Those of the store and of the embedding model; what was embedded before is kept.
    pub async fn embed_missing(&self, progress: &(dyn Fn(&Progress) + Sync)) -> Result<u64, Error> {
        vectors::embed_missing(self, progress).await
    }

    /// Answers a question. The same question to an unchanged memory is answered from a cache.
    ///
    /// # Errors
    /// [`Error::Query`] when the question or the namespaces are empty; those of the store. A failing embedding model is
    /// a note in the answer, not an error, unless only vectors were asked for.
    pub async fn search(&self, query: &SearchQuery) -> Result<Found, Error> {
        if query.namespaces.is_empty() {
            return Err(Error::Query("it names no namespace"));
        }
        if query.text.trim().is_empty() {
            return Err(Error::Query("it names nothing to look for"));
        }
        let generation = self.store.memory_generation().await?;
        let key = cache::key(query);
        if let Some(found) = self.caches.found(generation, &key) {
            return Ok(found);
        }
        let found = crate::search::answer(self, query).await?;
        self.caches.keep_found(generation, key, &found);
        Ok(found)
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let model = self.embedder.as_ref().map(|embedder| embedder.model());
        f.debug_struct("Index").field("model", &model).finish_non_exhaustive()
    }
}
