//! A track's documents in an index, and its answers to questions. Leaves out judging them.

use std::{collections::HashMap, sync::Arc};

use masque_memory::{
    Index,
    index::{Source, document_id},
    search::{Diversity, Mode, SearchQuery},
};
use masque_store::Store;
use masque_types::{
    digest::Digest,
    id::DocumentId,
    memory::{Embedder, Namespace, Origin},
    time::Timestamp,
};
use tempfile::TempDir;

use super::track::Document;
use crate::places::Places;

/// When everything happens: no figure depends on the day.
pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000);
const BATCH: usize = 256;
/// Results that are asked for: several may be parts of one document, and ten documents count.
const RESULTS: usize = 40;

/// Indexed documents.
pub(crate) struct Library {
    pub(crate) index: Index,
    pub(crate) namespace: Namespace,
    pub(crate) store: Store,
    places: HashMap<DocumentId, usize>,
    _directory: TempDir,
}

impl Library {
    /// Indexes documents in a new store.
    pub(crate) async fn of(
        documents: &[Document],
        embedder: Option<Arc<dyn Embedder>>,
        places: &Places,
    ) -> anyhow::Result<Self> {
        let directory = places.memory_disk()?;
        let store = Store::open_sqlite(&directory.path().join("masque.db")).await?;
        let index = Index::new(store.clone(), embedder);
        let namespace = Namespace::Project("bench".to_owned());
        let sources: Vec<Source> =
            documents.iter().enumerate().map(|(place, document)| source(document, place, &namespace)).collect();
        let ids = sources.iter().enumerate().map(|(place, source)| (document_id(&namespace, &source.source), place));
        let ids = ids.collect();
        for batch in sources.chunks(BATCH) {
            index.add_all(batch.to_vec(), NOW).await?;
        }
        index.embed_missing(NOW, &|_| {}).await?;
        Ok(Self { index, namespace, store, places: ids, _directory: directory })
    }

    /// The documents that answer a question, best first, each once.
    pub(crate) async fn ranked(&self, question: &str, mode: Mode) -> anyhow::Result<Vec<usize>> {
        let query = SearchQuery {
            mode,
            limit: RESULTS,
            diversity: Diversity::PerSection(1),
            ..SearchQuery::new(question, vec![self.namespace.clone()], NOW)
        };
        self.documents_of(&query).await
    }

    /// The documents that a query finds, best first, each once.
    pub(crate) async fn documents_of(&self, query: &SearchQuery) -> anyhow::Result<Vec<usize>> {
        let found = self.index.search(query).await?;
        let mut ranked = Vec::new();
        for hit in &found.hits {
            if let Some(place) = self.places.get(&hit.document.id)
                && !ranked.contains(place)
            {
                ranked.push(*place);
            }
        }
        Ok(ranked)
    }
}

/// A document as the index takes it. Its source is a number: a path would hold words of what is asked.
pub(crate) fn source(document: &Document, place: usize, namespace: &Namespace) -> Source {
    Source {
        namespace: namespace.clone(),
        source: place.to_string(),
        kind: document.kind,
        title: document.title.clone(),
        media_type: "text/markdown".to_owned(),
        origin: Origin::Trusted,
        digest: Digest::of(&document.text),
        text: document.text.clone(),
        changed_at: NOW,
        metadata: serde_json::Map::new(),
    }
}
