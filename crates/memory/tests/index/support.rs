//! Sources, an index in memory, and a model whose vectors are the words of a text.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use masque_memory::{Index, index::Source, search::SearchQuery, terms};
use masque_store::Store;
use masque_types::{
    BoxFuture,
    digest::Digest,
    memory::{DocumentKind, EmbedPurpose, Embedder, EmbeddingModel, Namespace, Origin},
    time::Timestamp,
};

pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000);
const DIMENSION: usize = 64;

/// Texts with the same words have the same vector.
pub(crate) struct WordCounter {
    model: EmbeddingModel,
    /// Texts that were embedded.
    pub(crate) embedded: AtomicUsize,
    /// After so many texts it fails.
    pub(crate) fails_after: AtomicUsize,
}

impl WordCounter {
    pub(crate) fn new(name: &str) -> Arc<Self> {
        let model = EmbeddingModel { name: name.to_owned(), dimension: DIMENSION };
        Arc::new(Self { model, embedded: AtomicUsize::new(0), fails_after: AtomicUsize::new(usize::MAX) })
    }

    pub(crate) fn count(&self) -> usize {
        self.embedded.load(Ordering::SeqCst)
    }
}

impl Embedder for WordCounter {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    fn embed<'a>(&'a self, texts: &'a [String], _: EmbedPurpose) -> BoxFuture<'a, Result<Vec<Vec<f32>>, String>> {
        Box::pin(async move {
            if self.count() + texts.len() > self.fails_after.load(Ordering::SeqCst) {
                return Err("out of order".to_owned());
            }
            self.embedded.fetch_add(texts.len(), Ordering::SeqCst);
            Ok(texts.iter().map(|text| vector(text)).collect())
        })
    }
}

fn vector(text: &str) -> Vec<f32> {
    let mut counts = vec![0.01_f32; DIMENSION];
    for term in terms::of_query(text) {
        let place = usize::from(Digest::of(&term).as_bytes()[0]) % DIMENSION;
        counts[place] += 1.0;
    }
    let length = counts.iter().map(|count| count * count).sum::<f32>().sqrt();
    counts.into_iter().map(|count| count / length).collect()
}

pub(crate) async fn index(embedder: Option<Arc<WordCounter>>) -> Index {
    let store = Store::in_memory().await.unwrap();
    Index::new(store, embedder.map(|embedder| embedder as Arc<dyn Embedder>))
}

pub(crate) fn project() -> Namespace {
    Namespace::Project("p".to_owned())
}

pub(crate) fn source(name: &str, text: &str) -> Source {
    Source {
        namespace: project(),
        source: name.to_owned(),
        kind: DocumentKind::Document,
        title: name.to_owned(),
        media_type: "text/markdown".to_owned(),
        origin: Origin::Untrusted,
        digest: Digest::of(text),
        text: text.to_owned(),
        changed_at: NOW,
        metadata: serde_json::Map::new(),
    }
}

pub(crate) fn query(text: &str) -> SearchQuery {
    SearchQuery::new(text, vec![project()], NOW)
}

/// The sources that a query finds, best first.
pub(crate) async fn found(index: &Index, query: &SearchQuery) -> Vec<String> {
    index.search(query).await.unwrap().hits.into_iter().map(|hit| hit.document.source).collect()
}
