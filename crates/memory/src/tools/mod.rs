//! Tools found by what they do: the same terms, fusion and embedding models as for texts, over names, descriptions and
//! arguments.
//!
//! Owns the index over a set of tools, in memory: there are hundreds, not millions. Leaves out which tools are shown to a
//! model, and who may call them.

mod kept;
mod order;
mod signature;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use masque_types::{
    digest::Digest,
    memory::{EmbedPurpose, Embedder},
    tool::ToolSpec,
};

pub use order::dependencies;
pub use signature::{signature, summary};

use crate::terms;
use kept::Kept;

/// How fast repeated terms stop counting.
const SATURATION: f32 = 1.2;
/// How much long descriptions are held back.
const LENGTH: f32 = 0.5;
/// How often a name's terms count: names are chosen with care.
const NAME: usize = 3;
/// Reciprocal rank fusion: how little the first places differ.
const RANK: f32 = 5.0;
/// What a place by meaning counts beside one by words: tasks are seldom told in the words of a description. Chosen, like
/// what is embedded of a tool, on the tuning part of the tasks.
const MEANING: f32 = 4.0;

/// Embeds descriptions of tools, each once.
pub struct Meaning {
    embedder: Arc<dyn Embedder>,
    kept: Mutex<Kept>,
}

impl Meaning {
    /// Keeps vectors in a directory; in memory only without one.
    #[must_use]
    pub fn new(embedder: Arc<dyn Embedder>, directory: Option<PathBuf>) -> Self {
        let kept = Mutex::new(Kept::open(embedder.model(), directory));
        Self { embedder, kept }
    }

    async fn vectors(&self, texts: &[String]) -> Result<Vec<Arc<[f32]>>, String> {
        let keys: Vec<Digest> = texts.iter().map(Digest::of).collect();
        let missing: Vec<(Digest, String)> = {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            keys.iter().copied().zip(texts.iter().cloned()).filter(|(key, _)| kept.get(key).is_none()).collect()
        };
        if !missing.is_empty() {
            let texts: Vec<String> = missing.iter().map(|(_, text)| text.clone()).collect();
            let vectors = self.embedder.embed(&texts, EmbedPurpose::Document).await?;
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.put(missing.into_iter().map(|(key, _)| key).zip(vectors));
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let vectors: Option<Vec<Arc<[f32]>>> = keys.iter().map(|key| kept.get(key)).collect();
        vectors.ok_or_else(|| format!("{} gave too few vectors", self.embedder.model().name))
    }

    async fn of_task(&self, task: &str) -> Result<Vec<f32>, String> {
        let vectors = self.embedder.embed(&[task.to_owned()], EmbedPurpose::Query).await?;
        vectors.into_iter().next().ok_or_else(|| format!("{} gave no vector", self.embedder.model().name))
    }
}

/// What a search among tools gave.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundTools {
    /// Places of the tools in the order that the index was made of, best first, with their scores.
    pub places: Vec<(usize, f32)>,
    /// Why meaning was not compared, where it was to be.
    pub note: Option<String>,
}

/// An index over tools.
pub struct ToolIndex {
    entries: Vec<Entry>,
    /// How much a term tells, by how few tools have it.
    rarity: HashMap<String, f32>,
    mean_length: f32,
}

struct Entry {
    counts: HashMap<String, f32>,
    length: f32,
    /// What is embedded: the description alone, which is told as a task is, and with the name. The mean counts.
    texts: [String; 2],
}

impl ToolIndex {
    /// Indexes tools.
    #[must_use]
    pub fn new(tools: &[ToolSpec]) -> Self {
        let entries: Vec<Entry> = tools.iter().map(Entry::of).collect();
        let mut tools_with: HashMap<String, f32> = HashMap::new();
        for term in entries.iter().flat_map(|entry| entry.counts.keys()) {
            *tools_with.entry(term.clone()).or_default() += 1.0;
        }
        let all = entries.len() as f32;
        let rarity = |with: f32| (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
        Self {
            rarity: tools_with.into_iter().map(|(term, with)| (term, rarity(with))).collect(),
            mean_length: entries.iter().map(|entry| entry.length).sum::<f32>() / all.max(1.0),
            entries,
        }
    }

    /// The best tools for a task in words. Without `meaning`, or where it fails, words alone decide.
    pub async fn search(&self, task: &str, limit: usize, meaning: Option<&Meaning>) -> FoundTools {
        let by_words = self.by_words(task);
        let (by_meaning, note) = match meaning {
            Some(meaning) => match self.by_meaning(task, meaning).await {
                Ok(ranked) => (ranked, None),
                Err(problem) => (Vec::new(), Some(format!("only words were compared: {problem}"))),
            },
            None => (Vec::new(), None),
        };
        let mut scores: HashMap<usize, f32> = HashMap::new();
        for (ranked, weight) in [(by_words, 1.0), (by_meaning, MEANING)] {
            for (rank, place) in (1u16..).zip(ranked) {
                *scores.entry(place).or_default() += weight / (RANK + f32::from(rank));
            }
        }
        let mut places: Vec<(usize, f32)> = scores.into_iter().collect();
        places.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
        places.truncate(limit);
        FoundTools { places, note }
    }

    /// The tools that share terms with the task, best first.
    fn by_words(&self, task: &str) -> Vec<usize> {
        let terms = terms::of_query(task);
        let score = |entry: &Entry| -> f32 { terms.iter().map(|term| self.weight(entry, term)).sum() };
        ranked(self.entries.iter().map(score).collect(), 0.0)
    }

    fn weight(&self, entry: &Entry, term: &str) -> f32 {
        let (Some(count), Some(rarity)) = (entry.counts.get(term), self.rarity.get(term)) else { return 0.0 };
        let held_back = SATURATION * (1.0 - LENGTH + LENGTH * entry.length / self.mean_length);
        rarity * count * (SATURATION + 1.0) / (count + held_back)
    }

    async fn by_meaning(&self, task: &str, meaning: &Meaning) -> Result<Vec<usize>, String> {
        let texts: Vec<String> = self.entries.iter().flat_map(|entry| entry.texts.clone()).collect();
        let (vectors, task) = (meaning.vectors(&texts).await?, meaning.of_task(task).await?);
        let likeness = |vector: &Arc<[f32]>| vector.iter().zip(&task).map(|(one, other)| one * other).sum::<f32>();
        let mean = |pair: &[Arc<[f32]>; 2]| pair.iter().map(likeness).sum::<f32>() / 2.0;
        let (pairs, _) = vectors.as_chunks::<2>();
        Ok(ranked(pairs.iter().map(mean).collect(), LEAST_LIKENESS))
    }
}

/// A vector that is no more alike than this says nothing.
const LEAST_LIKENESS: f32 = 0.1;

/// The places of the scores above `least`, highest first.
fn ranked(scores: Vec<f32>, least: f32) -> Vec<usize> {
    let mut places: Vec<(usize, f32)> = scores.into_iter().enumerate().filter(|(_, score)| *score > least).collect();
    places.sort_by(|one, other| other.1.total_cmp(&one.1).then(one.0.cmp(&other.0)));
    places.into_iter().map(|(place, _)| place).collect()
}

impl Entry {
    fn of(tool: &ToolSpec) -> Self {
        let arguments = signature::arguments(tool).map(|(name, _)| name).collect::<Vec<_>>().join(" ");
        let name = tool.name.strip_prefix("mcp:").unwrap_or(&tool.name);
        let mut counts: HashMap<String, f32> = HashMap::new();
        let named = terms::of_text(name);
        let rest = terms::of_text(&tool.description).into_iter().chain(terms::of_text(&arguments));
        for term in named.iter().cloned().cycle().take(named.len() * NAME).chain(rest) {
            *counts.entry(term).or_default() += 1.0;
        }
        let words = name.replace(['.', '/', '_', '-', ':'], " ");
        let described = if tool.description.is_empty() { words.clone() } else { tool.description.clone() };
        let texts = [described, format!("{words}: {}", tool.description)];
        Self { length: counts.values().sum(), counts, texts }
    }
}

#[cfg(test)]
mod tests;
