//! Looking into the memory: searching, listing, showing.

use masque_memory::search::{Diversity, Filters, Found, Mode, Recency, SearchQuery};
use masque_store::{DocumentFilter, MemoryFilter, MemoryStats};
use masque_types::{
    actor::Caller,
    id::DocumentId,
    memory::{Chunk, Document, DocumentKind, Namespace, Origin},
    time::Timestamp,
};
use serde::Serialize;

use super::permit;
use crate::{App, Error};

/// The longest question in bytes.
const LONGEST_QUESTION: usize = 4 << 10;
/// Results at most.
const MOST_HITS: usize = 100;
/// Documents that are listed at once.
const PAGE: usize = 500;

/// A question to the memory.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchMemory {
    /// Words, a sentence, a question.
    pub text: String,
    /// Where to look.
    pub namespaces: Vec<Namespace>,
    /// Only these kinds; all when empty.
    pub kinds: Vec<DocumentKind>,
    /// Results at most.
    pub limit: usize,
    /// Words, meaning, or both.
    pub mode: Mode,
    /// Only what changed at or after this time.
    pub since: Option<Timestamp>,
    /// Only what has all these tags.
    pub tags: Vec<String>,
    /// Only with this origin.
    pub origin: Option<Origin>,
    /// Whether newer documents are preferred.
    pub recency: Option<Recency>,
}

impl SearchMemory {
    /// A question without conditions: ten results.
    #[must_use]
    pub fn new(text: impl Into<String>, namespaces: Vec<Namespace>) -> Self {
        Self {
            text: text.into(),
            namespaces,
            kinds: Vec::new(),
            limit: 10,
            mode: Mode::Fused,
            since: None,
            tags: Vec::new(),
            origin: None,
            recency: None,
        }
    }
}

/// Which documents are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListMemories {
    /// Which.
    pub filter: MemoryFilter,
    /// At most so many.
    pub limit: usize,
}

/// A document with its parts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MemoryView {
    /// The document.
    pub document: Document,
    /// Its chunks, in order.
    pub chunks: Vec<Chunk>,
}

impl App {
    /// Searches the memory.
    ///
    /// # Errors
    /// When the caller may not read there, the question is empty or too long, or the store cannot be read.
    pub async fn search_memory(&self, caller: &Caller, asked: &SearchMemory) -> Result<Found, Error> {
        permit(caller, &asked.namespaces)?;
        if asked.text.len() > LONGEST_QUESTION {
            return Err(Error::usage(format!("a question has at most {LONGEST_QUESTION} bytes")));
        }
        let query = SearchQuery {
            kinds: asked.kinds.clone(),
            limit: asked.limit.clamp(1, MOST_HITS),
            mode: asked.mode,
            filters: Filters {
                tags: asked.tags.clone(),
                since: asked.since,
                origin: asked.origin,
                ..Filters::default()
            },
            recency: asked.recency,
            diversity: Diversity::PerSection(2),
            ..SearchQuery::new(asked.text.trim(), asked.namespaces.clone(), self.clock.now())
        };
        let found = self.memory_index().await?.search(&query).await?;
        tracing::debug!(caller = %caller.actor, hits = found.hits.len(), "the memory was searched");
        Ok(found)
    }

    /// Lists documents by namespace and source.
    ///
    /// # Errors
    /// When the caller may not read there, or the store cannot be read.
    pub async fn memories(&self, caller: &Caller, asked: &ListMemories) -> Result<Vec<Document>, Error> {
        permit(caller, &asked.filter.namespaces)?;
        let mut listed: Vec<Document> = Vec::new();
        loop {
            let after = listed.last().map(|last| (last.namespace.clone(), last.source.clone()));
            let limit = PAGE.min(asked.limit.saturating_sub(listed.len()));
            let page = self.store.documents(&DocumentFilter { filter: asked.filter.clone(), after, limit }).await?;
            let is_last = page.len() < limit || limit == 0;
            listed.extend(page);
            if is_last {
                return Ok(listed);
            }
        }
    }

    /// All namespaces that something is in.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn memory_namespaces(&self) -> Result<Vec<Namespace>, Error> {
        Ok(self.store.memory_stats(None).await?.namespaces.into_keys().collect())
    }

    /// A document with its parts, by its id or the beginning of it.
    ///
    /// # Errors
    /// When there is none or more than one such document, or the caller may not read it.
    pub async fn memory(&self, caller: &Caller, beginning: &str) -> Result<MemoryView, Error> {
        let id = self.memory_id(beginning).await?;
        let document = self.store.document(id).await?;
        let document = document.ok_or_else(|| Error::usage(format!("{id} is not remembered any more")))?;
        permit(caller, std::slice::from_ref(&document.namespace))?;
        let chunks = self.store.chunks(id).await?;
        Ok(MemoryView { document, chunks })
    }

    /// The document that is meant by the beginning of an id.
    pub(super) async fn memory_id(&self, beginning: &str) -> Result<DocumentId, Error> {
        let found = self.store.find_documents(beginning).await?;
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(Error::usage(format!("nothing is remembered as `{beginning}`"))
                .hint("`masque memory list` shows what is")),
            several => {
                let ids: Vec<String> = several.iter().map(ToString::to_string).collect();
                Err(Error::usage(format!("`{beginning}` is the beginning of several: {}", ids.join(", "))))
            }
        }
    }

    /// How much is remembered; in all namespaces when none are named.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn memory_statistics(&self, namespaces: Option<&[Namespace]>) -> Result<MemoryStats, Error> {
        Ok(self.store.memory_stats(namespaces).await?)
    }
}
