//! A track's documents in an index, and its answers to questions. Leaves out judging them.

use std::{collections::HashMap, sync::Arc};

use masque_memory::{
    Index,
    index::{Source, document_id},
    search::{Diversity, Found, Mode, SearchQuery, Tuning},
};
use masque_store::Store;
use masque_types::{
    digest::Digest,
    id::DocumentId,
    memory::{Embedder, Namespace, Origin},
    time::Timestamp,
};
use tempfile::TempDir;

use super::{peer, track::Document};
use crate::places::Places;

/// When everything happens: no figure depends on the day.
pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000);
const BATCH: usize = 256;
/// Results that are asked for: several may be parts of one document, and ten documents count.
const RESULTS: usize = 40;

/// What everything is indexed and searched with.
pub(crate) struct Setup<'a> {
    pub(crate) places: &'a Places,
    /// The model, with the vectors of former runs; none when there is no model.
    pub(crate) embedder: Option<Arc<dyn Embedder>>,
    pub(crate) tuning: Tuning,
}

impl Setup<'_> {
    /// An index in a new store, which is gone with the directory.
    pub(crate) async fn index(&self) -> anyhow::Result<(Index, TempDir)> {
        let directory = self.places.memory_disk()?;
        let store = Store::open_sqlite(&directory.path().join("masque.db")).await?;
        Ok((Index::new(store, self.embedder.clone()).with_tuning(self.tuning), directory))
    }

    /// Which legs answer, in words.
    pub(crate) fn legs(&self) -> &'static str {
        if self.embedder.is_some() { "words and vectors" } else { "words only, no model" }
    }
}

/// Indexed documents.
pub(crate) struct Library {
    pub(crate) index: Index,
    /// The same documents by BM25 with the usual constants and without weights for headings.
    pub(crate) usual: Index,
    pub(crate) namespace: Namespace,
    places: HashMap<DocumentId, usize>,
    _directory: TempDir,
}

impl Library {
    /// Indexes documents in a new store.
    pub(crate) async fn of(documents: &[Document], setup: &Setup<'_>) -> anyhow::Result<Self> {
        let (index, directory) = setup.index().await?;
        let namespace = Namespace::Project("bench".to_owned());
        let sources: Vec<Source> =
            documents.iter().enumerate().map(|(place, document)| source(document, place, &namespace)).collect();
        let ids = sources.iter().enumerate().map(|(place, source)| (document_id(&namespace, &source.source), place));
        let ids = ids.collect();
        for batch in sources.chunks(BATCH) {
            index.add_all(batch.to_vec(), NOW).await?;
        }
        index.embed_missing(&|_| {}).await?;
        let tuning = Tuning { k1: peer::K1, b: peer::B, heading_weight: 1.0, ..Tuning::default() };
        let usual = Index::new(index.store().clone(), None).with_tuning(tuning);
        Ok(Self { index, usual, namespace, places: ids, _directory: directory })
    }

    /// The documents that answer a question, best first, each once.
    pub(crate) async fn ranked(&self, question: &str, mode: Mode) -> anyhow::Result<Vec<usize>> {
        self.documents_of(&self.query(question, mode)).await
    }

    /// The same by the usual BM25 alone.
    pub(crate) async fn usual(&self, question: &str) -> anyhow::Result<Vec<usize>> {
        let query = SearchQuery { diversity: Diversity::None, ..self.query(question, Mode::Text) };
        Ok(self.documents(&self.usual.search(&query).await?))
    }

    fn query(&self, question: &str, mode: Mode) -> SearchQuery {
        SearchQuery {
            mode,
            limit: RESULTS,
            diversity: Diversity::PerSection(1),
            ..SearchQuery::new(question, vec![self.namespace.clone()], NOW)
        }
    }

    /// The documents that a query finds, best first, each once.
    pub(crate) async fn documents_of(&self, query: &SearchQuery) -> anyhow::Result<Vec<usize>> {
        Ok(self.documents(&self.index.search(query).await?))
    }

    fn documents(&self, found: &Found) -> Vec<usize> {
        let mut ranked = Vec::new();
        for hit in &found.hits {
            if let Some(place) = self.places.get(&hit.document.id)
                && !ranked.contains(place)
            {
                ranked.push(*place);
            }
        }
        ranked
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
