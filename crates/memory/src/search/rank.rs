//! Preferring what is newer and thinning out what says the same. Leaves out the legs.

use std::collections::{HashMap, HashSet};

use masque_types::{digest::Digest, id::DocumentId, time::Timestamp};

use super::{Hit, Recency};

/// `1 + weight * 0.5^(age / half_life)`.
pub(super) fn recency_factor(recency: Option<&Recency>, changed_at: Timestamp, now: Timestamp) -> f32 {
    let Some(recency) = recency else { return 1.0 };
    let half_life = recency.half_life.as_secs_f32().max(f32::MIN_POSITIVE);
    let halves = now.since(changed_at).as_secs_f32() / half_life;
    recency.weight.mul_add(0.5f32.powf(halves), 1.0)
}

/// Keeps at most so many hits of each section, in order.
pub(super) fn cap_sections(hits: Vec<Hit>, most: usize) -> Vec<Hit> {
    let mut seen: HashMap<(DocumentId, Vec<String>), usize> = HashMap::new();
    let mut keep = |hit: &Hit| {
        let count = seen.entry((hit.document.id, hit.chunk.headings.clone())).or_default();
        *count += 1;
        *count <= most.max(1)
    };
    hits.into_iter().filter(|hit| keep(hit)).collect()
}

/// How alike two hits are, from 0 to 1: by their vectors where both have one, else by their words.
pub(super) struct Likeness {
    vectors: HashMap<Digest, Vec<f32>>,
    words: HashMap<Digest, HashSet<String>>,
}

impl Likeness {
    pub(super) fn new(vectors: HashMap<Digest, Vec<f32>>, hits: &[Hit]) -> Self {
        let words = |hit: &Hit| crate::terms::of_text(&hit.chunk.text).into_iter().collect();
        Self { vectors, words: hits.iter().map(|hit| (hit.chunk.digest, words(hit))).collect() }
    }

    fn between(&self, a: &Digest, b: &Digest) -> f32 {
        if let (Some(a), Some(b)) = (self.vectors.get(a), self.vectors.get(b)) {
            return a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>().clamp(0.0, 1.0);
        }
        let (Some(a), Some(b)) = (self.words.get(a), self.words.get(b)) else { return 0.0 };
        let common = a.intersection(b).count();
        let all = a.len() + b.len() - common;
        if all == 0 { 1.0 } else { common as f32 / all as f32 }
    }
}

/// Maximal marginal relevance: takes again and again the hit with the largest
/// `relevance * score - (1 - relevance) * largest likeness to what was taken`, scores scaled so that the best is 1.
pub(super) fn marginal(hits: Vec<Hit>, limit: usize, relevance: f32, likeness: &Likeness) -> Vec<Hit> {
    let best = hits.iter().map(|hit| hit.score).fold(f32::MIN_POSITIVE, f32::max);
    let mut left: Vec<(Hit, f32)> = hits.into_iter().map(|hit| (hit, 0.0)).collect();
    let mut taken: Vec<Hit> = Vec::new();
    while taken.len() < limit && !left.is_empty() {
        let worth = |(hit, alike): &(Hit, f32)| relevance * hit.score / best - (1.0 - relevance) * alike;
        let mut choice = 0;
        let mut most = f32::NEG_INFINITY;
        for (place, candidate) in left.iter().enumerate() {
            if worth(candidate) > most {
                (choice, most) = (place, worth(candidate));
            }
        }
        let (hit, _) = left.remove(choice);
        for (other, alike) in &mut left {
            *alike = alike.max(likeness.between(&hit.chunk.digest, &other.chunk.digest));
        }
        taken.push(hit);
    }
    taken
}
