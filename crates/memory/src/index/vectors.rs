//! Making vectors, and which model's vectors answer. Leaves out the models themselves and how vectors are kept.
//!
//! Vectors are made after a document is stored, in batches of their own, so that nothing waits for a model. What is missing
//! is asked of the store each time: there is no list of open work that a crash could lose. When the model changes, the
//! vectors of the one before serve until those of the new one are complete, and are dropped then; the two are never mixed in
//! one answer.

use std::sync::Arc;

use masque_store::{StoredModel, Unembedded, VectorSupport};
use masque_types::{
    digest::Digest,
    memory::{EmbedPurpose, Embedder, EmbeddingModel},
    time::Timestamp,
};

use super::{Index, Progress};
use crate::{Error, chunk::estimated_tokens, search::Note};

/// Chunks that are asked for at once.
const PAGE: usize = 512;
/// Chunks that are embedded and kept at once.
const BATCH: usize = 32;
/// A longer text is embedded in parts of about so many tokens and has the mean of their vectors: small models see no more
/// than this of a text.
const WINDOW: usize = 220;
/// For how long the state of the vectors is taken as known while the memory is being written, in milliseconds.
const SERVING_GRAIN_MS: i64 = 2_000;

/// Which vectors answer now.
#[derive(Clone)]
pub(crate) struct Serving {
    pub(crate) vectors: Vectors,
    /// What the reader of an answer should know about them.
    pub(crate) notes: Vec<Note>,
}

/// Whose vectors.
#[derive(Clone)]
pub(crate) enum Vectors {
    /// Nobody's.
    None,
    /// Those of this model.
    Of(Arc<dyn Embedder>),
}

impl Index {
    pub(crate) async fn serving(&self, now: Timestamp) -> Result<Serving, Error> {
        let Some(current) = &self.embedder else { return Ok(Serving { vectors: Vectors::None, notes: Vec::new() }) };
        let generation = self.store.memory_generation().await?;
        if let Some(serving) = self.caches.serving(generation, now.0, SERVING_GRAIN_MS) {
            return Ok(serving);
        }
        let models = self.store.vector_models().await?;
        let serving = choose(current, self.previous.as_ref(), &models);
        self.caches.keep_serving(generation, now.0, serving.clone());
        Ok(serving)
    }

    /// The vector of a question, computed once for as long as it is remembered.
    pub(crate) async fn query_vector(&self, embedder: &dyn Embedder, text: &str) -> Result<Arc<Vec<f32>>, Error> {
        let model = embedder.model();
        if let Some(vector) = self.caches.vector(&model.name, text) {
            return Ok(vector);
        }
        let vectors = embed(embedder, &[text.to_owned()], EmbedPurpose::Query).await?;
        let vector = Arc::new(vectors.into_iter().next().unwrap_or_default());
        self.caches.keep_vector(&model.name, text, Arc::clone(&vector));
        Ok(vector)
    }
}

fn choose(current: &Arc<dyn Embedder>, previous: Option<&Arc<dyn Embedder>>, models: &[StoredModel]) -> Serving {
    let stored = |embedder: &Arc<dyn Embedder>| models.iter().find(|stored| stored.model == *embedder.model());
    let missing = stored(current).map_or(u64::MAX, |stored| stored.missing as u64);
    let before =
        previous.filter(|previous| previous.model() != current.model()).filter(|previous| stored(previous).is_some());
    match before {
        Some(previous) if missing > 0 => {
            let (serving, next) = (previous.model().name.clone(), current.model().name.clone());
            Serving { vectors: Vectors::Of(Arc::clone(previous)), notes: vec![Note::ModelChanging { serving, next }] }
        }
        _ => {
            let notes = match missing {
                0 => Vec::new(),
                u64::MAX => vec![Note::NoVectors],
                chunks => vec![Note::VectorsMissing { chunks }],
            };
            Serving { vectors: Vectors::Of(Arc::clone(current)), notes }
        }
    }
}

pub(super) async fn embed_missing(index: &Index, progress: &(dyn Fn(&Progress) + Sync)) -> Result<u64, Error> {
    let Some(embedder) = index.embedder.as_deref() else { return Ok(0) };
    if !matches!(index.store.vector_support().await?, VectorSupport::Ready) {
        return Ok(0);
    }
    let model = embedder.model();
    let mut done = 0;
    loop {
        let page = index.store.missing_vectors(model, None, PAGE).await?;
        if page.is_empty() {
            break;
        }
        let missing = count_missing(index, model, page.len()).await?;
        let mut left = missing;
        for batch in page.chunks(BATCH) {
            let vectors = embed_batch(embedder, batch).await?;
            index.store.put_vectors(model, vectors).await?;
            done += batch.len() as u64;
            left = left.saturating_sub(batch.len() as u64);
            progress(&Progress { model: model.name.clone(), done, missing: left });
        }
    }
    drop_others(index, model).await?;
    Ok(done)
}

/// How many chunk texts have no vector; a last page is all there is.
async fn count_missing(index: &Index, model: &EmbeddingModel, page: usize) -> Result<u64, Error> {
    if page < PAGE {
        return Ok(page as u64);
    }
    let models = index.store.vector_models().await?;
    Ok(models.iter().find(|stored| stored.model == *model).map_or(page, |stored| stored.missing) as u64)
}

async fn drop_others(index: &Index, model: &EmbeddingModel) -> Result<(), Error> {
    for other in index.store.vector_models().await? {
        if other.model != *model {
            index.store.drop_vectors(&other.model).await?;
        }
    }
    Ok(())
}

async fn embed_batch(embedder: &dyn Embedder, batch: &[Unembedded]) -> Result<Vec<(Digest, Vec<f32>)>, Error> {
    let mut texts = Vec::new();
    let mut counts = Vec::with_capacity(batch.len());
    for chunk in batch {
        let parts = embedded_texts(&chunk.headings, &chunk.text);
        counts.push((chunk.digest, parts.len()));
        texts.extend(parts);
    }
    let vectors = embed(embedder, &texts, EmbedPurpose::Document).await?;
    let mut rest = vectors.into_iter();
    Ok(counts.into_iter().map(|(digest, count)| (digest, mean(rest.by_ref().take(count)))).collect())
}

/// What is embedded for a chunk: its headings, which say what it is about, and its text, in windows of even size.
fn embedded_texts(headings: &[String], text: &str) -> Vec<String> {
    let above = headings.join(" > ");
    let windows = estimated_tokens(text).div_ceil(WINDOW).max(1);
    let size = text.len().div_ceil(windows).max(1);
    let mut parts = vec![format!("{above}\n")];
    let mut used = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        if used >= size && parts.len() < windows {
            parts.push(format!("{above}\n"));
            used = 0;
        }
        used += word.len();
        if let Some(part) = parts.last_mut() {
            part.push_str(word);
        }
    }
    parts
}

/// The mean of vectors, of unit length.
fn mean(mut vectors: impl Iterator<Item = Vec<f32>>) -> Vec<f32> {
    let mut sum = vectors.next().unwrap_or_default();
    for vector in vectors {
        sum.iter_mut().zip(vector).for_each(|(sum, number)| *sum += number);
    }
    let length = sum.iter().map(|number| number * number).sum::<f32>().sqrt();
    if length > 0.0 {
        sum.iter_mut().for_each(|number| *number /= length);
    }
    sum
}

/// Embeds texts and checks what comes back: an endpoint may serve another model than its name says.
async fn embed(embedder: &dyn Embedder, texts: &[String], purpose: EmbedPurpose) -> Result<Vec<Vec<f32>>, Error> {
    let model = embedder.model();
    let failed = |reason| Error::Embedding { model: model.name.clone(), reason };
    let wrong = |expected: String, got: String| Error::WrongVectors { model: model.name.clone(), expected, got };
    let vectors = embedder.embed(texts, purpose).await.map_err(failed)?;
    if vectors.len() != texts.len() {
        return Err(wrong(format!("{} vectors", texts.len()), format!("{} vectors", vectors.len())));
    }
    match vectors
        .iter()
        .find(|vector| vector.len() != model.dimension || vector.iter().any(|number| !number.is_finite()))
    {
        Some(odd) => {
            Err(wrong(format!("a vector of {} numbers", model.dimension), format!("one of {} numbers", odd.len())))
        }
        None => Ok(vectors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_embedded_in_even_windows_below_its_headings() {
        let text = "word ".repeat(800);
        let parts = embedded_texts(&["A".to_owned(), "B".to_owned()], &text);
        assert!(parts.len() > 3);
        assert!(parts.iter().all(|part| part.starts_with("A > B\nword")));
        let sizes: Vec<usize> = parts.iter().map(String::len).collect();
        assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() < 16, "{sizes:?}");
        assert_eq!(parts.iter().map(|part| part.matches("word").count()).sum::<usize>(), 800);
        assert_eq!(embedded_texts(&[], "").len(), 1);
    }

    #[test]
    fn the_mean_has_unit_length() {
        let mean = mean([vec![1.0, 0.0], vec![0.0, 1.0]].into_iter());
        assert!((mean.iter().map(|number| number * number).sum::<f32>() - 1.0).abs() < 1e-6);
    }
}
