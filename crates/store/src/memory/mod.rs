//! What is remembered, as rows: documents, chunks, terms, vectors; each write is one transaction, in which rows, terms
//! and vectors change together.
//!
//! Leaves out making terms and vectors, chunking, and ranking across the legs of a search: that is the memory crate's.

mod record;

pub use record::{
    ChunkKey, DocumentFilter, ForgetFilter, Forgotten, ForgottenDocument, Hit, MemoryFilter, MemoryStats,
    NamespaceStats, NewChunk, NewDocument, Put, StoredChunk, StoredModel, TextQuery, Unembedded, VectorQuery,
    VectorSupport,
};

use std::collections::HashMap;

use masque_types::{
    digest::Digest,
    id::DocumentId,
    memory::{Chunk, Document, EmbeddingModel, Namespace},
};

use crate::{Error, Store};

impl Store {
    /// Stores documents in one transaction; each takes the place of the one with its id. Chunks whose digest stays keep
    /// their key and their vectors; known vectors serve new chunks at once.
    ///
    /// # Errors
    /// When nothing can be written. Nothing of it is stored then.
    pub async fn put_documents(&self, documents: Vec<NewDocument>) -> Result<Vec<Put>, Error> {
        let _ = documents;
        Err(Error::Closed)
    }

    /// Stores one document: see [`Store::put_documents`].
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn put_document(&self, document: NewDocument) -> Result<Put, Error> {
        Ok(self.put_documents(vec![document]).await?.into_iter().next().unwrap_or_default())
    }

    /// Forgets documents with their chunks, terms and vectors, and the summaries of them, in one transaction.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn forget(&self, filter: ForgetFilter) -> Result<Forgotten, Error> {
        let _ = filter;
        Err(Error::Closed)
    }

    /// One page of documents, by namespace and source.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn documents(&self, filter: &DocumentFilter) -> Result<Vec<Document>, Error> {
        let _ = filter;
        Err(Error::Closed)
    }

    /// One document, if it is remembered.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn document(&self, id: DocumentId) -> Result<Option<Document>, Error> {
        let _ = id;
        Err(Error::Closed)
    }

    /// The documents whose printed id begins so, at most 10; `doc_` may be left out.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn find_documents(&self, prefix: &str) -> Result<Vec<DocumentId>, Error> {
        let _ = prefix;
        Err(Error::Closed)
    }

    /// The chunks of a document, in order.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn chunks(&self, id: DocumentId) -> Result<Vec<Chunk>, Error> {
        let _ = id;
        Err(Error::Closed)
    }

    /// Chunks with their documents, in the order of the keys; those that are gone are left out.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn stored_chunks(&self, keys: &[ChunkKey]) -> Result<Vec<StoredChunk>, Error> {
        let _ = keys;
        Err(Error::Closed)
    }

    /// The chunks that terms find, best first.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn text_hits(&self, query: &TextQuery) -> Result<Vec<Hit>, Error> {
        let _ = query;
        Err(Error::Closed)
    }

    /// The chunks whose vectors are nearest, best first. Empty when the model has no vectors here.
    ///
    /// # Errors
    /// When the vector has not the model's dimension, or nothing can be read.
    pub async fn vector_hits(&self, query: &VectorQuery) -> Result<Vec<Hit>, Error> {
        let _ = query;
        Err(Error::Closed)
    }

    /// The stored vectors of some chunks, by the chunks' digests.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn vectors(
        &self,
        model: &EmbeddingModel,
        digests: &[Digest],
    ) -> Result<HashMap<Digest, Vec<f32>>, Error> {
        let _ = (model, digests);
        Err(Error::Closed)
    }

    /// Chunk texts that have no vector of a model yet, each once; of all namespaces when none are named.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn missing_vectors(
        &self,
        model: &EmbeddingModel,
        namespaces: Option<&[Namespace]>,
        limit: usize,
    ) -> Result<Vec<Unembedded>, Error> {
        let _ = (model, namespaces, limit);
        Err(Error::Closed)
    }

    /// Stores vectors of unit length under their chunks' digests; those of chunks that are gone by now are left out.
    ///
    /// # Errors
    /// When one has not the model's dimension, the database keeps no vectors, or nothing can be written.
    pub async fn put_vectors(&self, model: &EmbeddingModel, vectors: Vec<(Digest, Vec<f32>)>) -> Result<(), Error> {
        let _ = (model, vectors);
        Err(Error::Closed)
    }

    /// Removes a model with all its vectors, and says how many they were.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn drop_vectors(&self, model: &EmbeddingModel) -> Result<usize, Error> {
        let _ = model;
        Err(Error::Closed)
    }

    /// The models that have vectors here, with what each lacks.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn vector_models(&self) -> Result<Vec<StoredModel>, Error> {
        Err(Error::Closed)
    }

    /// Whether vectors can be kept.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn vector_support(&self) -> Result<VectorSupport, Error> {
        Err(Error::Closed)
    }

    /// How much is remembered; in all namespaces when none are named.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn memory_stats(&self, namespaces: Option<&[Namespace]>) -> Result<MemoryStats, Error> {
        let _ = namespaces;
        Err(Error::Closed)
    }

    /// A number that changes with each write to the memory, by whatever program.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn memory_generation(&self) -> Result<u64, Error> {
        Err(Error::Closed)
    }
}
