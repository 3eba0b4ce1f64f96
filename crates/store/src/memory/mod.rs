//! What is remembered, as rows: documents, chunks, terms, vectors; each write is one transaction, in which rows, terms
//! and vectors change together.
//!
//! Leaves out making terms and vectors, chunking, and ranking across the legs of a search: that is the memory crate's.

mod change;
mod codes;
mod dialect;
mod document;
mod forget;
mod lexemes;
mod nearest;
mod places;
pub(crate) mod postgres;
mod read;
mod record;
mod sql;
pub(crate) mod sqlite;
mod sqlite_vectors;
mod stock;
mod text;

use std::collections::HashMap;

use masque_types::{
    digest::Digest,
    id::DocumentId,
    memory::{Chunk, Document, EmbeddingModel, Namespace},
};

pub(crate) use change::{MemoryChange, MemoryOutcome, apply};
pub(crate) use dialect::MemorySession;
pub use record::{
    ChunkKey, DocumentFilter, ForgetFilter, Forgotten, ForgottenDocument, Hit, MemoryFilter, MemoryStats,
    NamespaceStats, NewChunk, NewDocument, Put, StoredChunk, StoredModel, TextQuery, Unembedded, VectorQuery,
    VectorSupport,
};

use crate::{
    Error, Store,
    store::mixed_up,
    write::{Outcome, Write},
};

impl Store {
    async fn change_memory(&self, change: MemoryChange) -> Result<MemoryOutcome, Error> {
        match self.write(Write::Memory(Box::new(change))).await? {
            Outcome::Memory(outcome) => Ok(outcome),
            _ => Err(mixed_up()),
        }
    }

    /// Stores documents in one transaction; each takes the place of the one with its id. Chunks whose digest stays keep
    /// their key and their vectors; known vectors serve new chunks at once. Journals wait behind a write: give at most a
    /// few hundred chunks at once.
    ///
    /// # Errors
    /// When a document names sources that are no ids, or nothing can be written. Nothing of it is stored then.
    pub async fn put_documents(&self, documents: Vec<NewDocument>) -> Result<Vec<Put>, Error> {
        let prepared = documents.into_iter().map(document::StoredDocument::prepare).collect::<Result<_, _>>()?;
        match self.change_memory(MemoryChange::Put(prepared)).await? {
            MemoryOutcome::Put(puts) => Ok(puts),
            _ => Err(mixed_up()),
        }
    }

    /// Stores one document: see [`Store::put_documents`].
    ///
    /// # Errors
    /// Those of [`Store::put_documents`].
    pub async fn put_document(&self, document: NewDocument) -> Result<Put, Error> {
        Ok(self.put_documents(vec![document]).await?.into_iter().next().unwrap_or_default())
    }

    /// Forgets documents with their chunks, terms and vectors, and the summaries of them, in one transaction.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn forget(&self, filter: ForgetFilter) -> Result<Forgotten, Error> {
        match self.change_memory(MemoryChange::Forget(filter)).await? {
            MemoryOutcome::Forgotten(forgotten) => Ok(forgotten),
            _ => Err(mixed_up()),
        }
    }

    /// One page of documents, by namespace and source.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn documents(&self, filter: &DocumentFilter) -> Result<Vec<Document>, Error> {
        read::documents(self.reader(), filter).await
    }

    /// One document, if it is remembered.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn document(&self, id: DocumentId) -> Result<Option<Document>, Error> {
        read::one(self.reader(), id).await
    }

    /// The documents whose printed id begins so, at most 10; `doc_` may be left out.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn find_documents(&self, prefix: &str) -> Result<Vec<DocumentId>, Error> {
        read::find(self.reader(), prefix).await
    }

    /// The chunks of a document, in order.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn chunks(&self, id: DocumentId) -> Result<Vec<Chunk>, Error> {
        read::chunks(self.reader(), id).await
    }

    /// Chunks with their documents, in the order of the keys; those that are gone are left out.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn stored_chunks(&self, keys: &[ChunkKey]) -> Result<Vec<StoredChunk>, Error> {
        read::stored(self.reader(), keys).await
    }

    /// The chunks that terms find, best first.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn text_hits(&self, query: &TextQuery) -> Result<Vec<Hit>, Error> {
        text::hits(self.reader(), query).await
    }

    /// The chunks whose vectors are nearest, best first. Empty when the model has no vectors here.
    ///
    /// # Errors
    /// When the vector has not the model's dimension, or nothing can be read.
    pub async fn vector_hits(&self, query: &VectorQuery) -> Result<Vec<Hit>, Error> {
        nearest::hits(self.reader(), query).await
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
        stock::vectors(self.reader(), model, digests).await
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
        stock::missing(self.reader(), model, namespaces, limit).await
    }

    /// Stores vectors of unit length under their chunks' digests; those of chunks that are gone by now are left out.
    ///
    /// # Errors
    /// When one has not the model's dimension, the database keeps no vectors, or nothing can be written.
    pub async fn put_vectors(&self, model: &EmbeddingModel, vectors: Vec<(Digest, Vec<f32>)>) -> Result<(), Error> {
        vectors.iter().try_for_each(|(_, vector)| nearest::check(vector, model.dimension))?;
        self.change_memory(MemoryChange::Vectors(model.clone(), vectors)).await.map(|_stored| ())
    }

    /// Removes a model with all its vectors, and says how many they were.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn drop_vectors(&self, model: &EmbeddingModel) -> Result<usize, Error> {
        match self.change_memory(MemoryChange::DropVectors(model.clone())).await? {
            MemoryOutcome::Dropped(vectors) => Ok(usize::try_from(vectors).unwrap_or(usize::MAX)),
            _ => Err(mixed_up()),
        }
    }

    /// The models that have vectors here, with what each lacks.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn vector_models(&self) -> Result<Vec<StoredModel>, Error> {
        stock::models(self.reader()).await
    }

    /// Whether vectors can be kept.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn vector_support(&self) -> Result<VectorSupport, Error> {
        postgres::vector_support(self.reader()).await
    }

    /// How much is remembered; in all namespaces when none are named.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn memory_stats(&self, namespaces: Option<&[Namespace]>) -> Result<MemoryStats, Error> {
        stock::stats(self.reader(), namespaces).await
    }

    /// The estimated tokens of all chunks of each document of some namespaces.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn document_tokens(&self, namespaces: &[Namespace]) -> Result<HashMap<DocumentId, u64>, Error> {
        stock::document_tokens(self.reader(), namespaces).await
    }

    /// A number that changes with each write to the memory, by whatever program.
    ///
    /// # Errors
    /// When nothing can be read.
    pub async fn memory_generation(&self) -> Result<u64, Error> {
        stock::generation(self.reader()).await
    }
}
