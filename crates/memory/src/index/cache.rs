//! What was asked before. Leaves out when an answer is out of date: each write to the memory changes its generation.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Serving;
use crate::search::{Found, SearchQuery};

/// Answers that are kept.
const MOST_FOUND: usize = 128;
/// Vectors of questions that are kept.
const MOST_VECTORS: usize = 256;
/// An answer that depends on the time is good for so long.
const RECENCY_GRAIN_MS: i64 = 60_000;

/// Caches that all clones of an index share.
#[derive(Default)]
pub(super) struct Caches {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    generation: u64,
    found: HashMap<String, Found>,
    /// By model and question.
    vectors: HashMap<(String, String), Arc<Vec<f32>>>,
    serving: Option<(u64, i64, Serving)>,
}

/// Everything that an answer depends on beside the memory.
pub(super) fn key(query: &SearchQuery) -> String {
    let SearchQuery {
        text,
        namespaces,
        kinds,
        limit,
        mode,
        filters,
        recency,
        diversity,
        extent,
        least_confidence,
        now,
    } = query;
    let time = recency.map(|_| now.0 / RECENCY_GRAIN_MS);
    format!(
        "{text:?}{namespaces:?}{kinds:?}{limit}{mode:?}{filters:?}{recency:?}{diversity:?}{extent:?}{least_confidence:?}{time:?}"
    )
}

impl Caches {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn found(&self, generation: u64, key: &str) -> Option<Found> {
        let inner = self.lock();
        (inner.generation == generation).then(|| inner.found.get(key).cloned()).flatten()
    }

    pub(super) fn keep_found(&self, generation: u64, key: String, found: &Found) {
        let mut inner = self.lock();
        if inner.generation != generation || inner.found.len() >= MOST_FOUND {
            inner.found.clear();
            inner.generation = generation;
        }
        inner.found.insert(key, found.clone());
    }

    pub(super) fn vector(&self, model: &str, text: &str) -> Option<Arc<Vec<f32>>> {
        self.lock().vectors.get(&(model.to_owned(), text.to_owned())).cloned()
    }

    pub(super) fn keep_vector(&self, model: &str, text: &str, vector: Arc<Vec<f32>>) {
        let mut inner = self.lock();
        if inner.vectors.len() >= MOST_VECTORS {
            inner.vectors.clear();
        }
        inner.vectors.insert((model.to_owned(), text.to_owned()), vector);
    }

    /// Which model serves, as found out at this generation or not longer ago than `grain` milliseconds.
    pub(super) fn serving(&self, generation: u64, now: i64, grain: i64) -> Option<Serving> {
        let inner = self.lock();
        let (at, time, serving) = inner.serving.as_ref()?;
        (*at == generation || (0..grain).contains(&now.saturating_sub(*time))).then(|| serving.clone())
    }

    pub(super) fn keep_serving(&self, generation: u64, now: i64, serving: Serving) {
        self.lock().serving = Some((generation, now, serving));
    }
}
