//! How long a search through standards takes, and how much of what it searched it returns.

use std::{sync::Arc, time::Instant};

use masque_memory::search::SearchQuery;
use masque_store::NamespaceStats;
use masque_types::memory::{DocumentKind, Embedder};

use super::{
    library::{Library, NOW, Setup},
    metrics::{self, Score},
    track::{Document, Split, Track},
};
use crate::{
    figures::{Row, Unit},
    statistics::{quantile_ms, real},
};

/// Chunks that are searched through.
const CHUNKS: usize = 10_000;
const QUESTIONS: usize = 300;
/// Questions that are asked before the clock runs.
const WARM: usize = 20;

/// Measures searches through ten thousand chunks of standards, each with the embedding of its question.
pub(crate) async fn measure(
    track: &Track,
    setup: &Setup<'_>,
    model: Option<Arc<dyn Embedder>>,
) -> anyhow::Result<Vec<Row>> {
    let documents = standards(&track.documents);
    let library = Library::of(&documents, setup).await?;
    let chunks = stored(&library).await?.chunks;
    // Vectors came from the file; questions are embedded by the model itself.
    let how = if model.is_some() { "question embedded" } else { "words only, no model" };
    let index = masque_memory::Index::new(library.index.store().clone(), model).with_tuning(setup.tuning);
    let mut took = Vec::new();
    for (number, question) in track.questions.iter().take(WARM + QUESTIONS).enumerate() {
        let query = SearchQuery::standards(question.text.clone(), library.namespace.clone(), NOW);
        let begun = Instant::now();
        index.search(&query).await?;
        if number >= WARM {
            took.push(begun.elapsed());
        }
    }
    let row = |name: &str, part| {
        Row::new(
            format!("search of standards, {name}, {chunks} chunks ({how})"),
            Unit::Milliseconds,
            quantile_ms(&took, part),
        )
    };
    Ok(vec![row("median", 0.5), row("99th percentile", 0.99).at_most(30.0)])
}

/// As many of the documents, as standards, as give about [`CHUNKS`] chunks.
fn standards(documents: &[Document]) -> Vec<Document> {
    use masque_memory::chunk::{ChunkSpec, Text, chunks};
    let spec = ChunkSpec::of_kind(DocumentKind::Standard);
    let mut count = 0;
    let mut taken = Vec::new();
    for document in documents {
        if count >= CHUNKS {
            break;
        }
        let text = Text { title: &document.title, media_type: "text/markdown", text: &document.text };
        count += chunks(&text, &spec).len();
        taken.push(Document { kind: DocumentKind::Standard, ..document.clone() });
    }
    taken
}

/// What a search through a project's standards returns, as a part of all of them, in estimated tokens.
pub(crate) async fn context(track: &Track, library: &Library) -> anyhow::Result<Row> {
    let all = stored(library).await?.tokens;
    let mut returned = Vec::new();
    for question in &track.questions {
        let query = SearchQuery::standards(question.text.clone(), library.namespace.clone(), NOW);
        let found = library.index.search(&query).await?;
        returned.push(found.hits.iter().map(|hit| f64::from(hit.chunk.tokens)).sum::<f64>() / real(all as u64));
    }
    let what = format!("T5: tokens returned, as a part of the {all} tokens of all standards");
    Ok(Row::new(what, Unit::Quality, metrics::mean(&returned)).at_most(0.10))
}

/// Whether a search through standards returns nothing exactly when nothing answers, and what it finds when something does.
pub(crate) async fn abstention(track: &Track, split: Split, library: &Library) -> anyhow::Result<Vec<Row>> {
    let (mut decisions, mut recall) = (Vec::new(), Vec::new());
    for question in track.of(split) {
        let query = SearchQuery::standards(question.text.clone(), library.namespace.clone(), NOW);
        let found = library.documents_of(&query).await?;
        decisions.push((found.is_empty(), question.answers.is_empty()));
        if !question.answers.is_empty() {
            recall.push(Score::of(&found, &question.answers).recall_3);
        }
    }
    let without = decisions.iter().filter(|(_, has_none)| *has_none).count();
    let what =
        format!("T5 standards: F1 of returning nothing, {} questions, {without} without answer", decisions.len());
    Ok(vec![
        Row::new(what, Unit::Quality, metrics::f1(&decisions)).at_least(0.8),
        Row::new("T5 standards: recall@3 of the same searches", Unit::Quality, metrics::mean(&recall)),
    ])
}

/// How much is in a library.
async fn stored(library: &Library) -> anyhow::Result<NamespaceStats> {
    let stats = library.index.store().memory_stats(Some(std::slice::from_ref(&library.namespace))).await?;
    Ok(stats.namespaces.get(&library.namespace).copied().unwrap_or_default())
}
