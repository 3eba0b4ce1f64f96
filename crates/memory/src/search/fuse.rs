//! Joining the two legs. Leaves out where their hits come from.

use std::collections::HashMap;

use masque_store::{ChunkKey, Hit as LegHit};

use super::{LegRank, Mode, Tuning};

/// A chunk that at least one leg found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Candidate {
    pub(super) key: ChunkKey,
    pub(super) text: Option<LegRank>,
    pub(super) vector: Option<LegRank>,
    pub(super) fused: f32,
    /// Places of the query's terms that it has.
    pub(super) matched: Vec<usize>,
}

/// The weights of the text leg and of the vector leg.
pub(super) fn weights(mode: Mode, names_a_thing: bool, tuning: &Tuning) -> (f32, f32) {
    let vector = if names_a_thing { tuning.identifier_vector_weight } else { tuning.vector_weight };
    match mode {
        Mode::Fused => (tuning.text_weight, vector),
        Mode::Text => (1.0, 0.0),
        Mode::Vector => (0.0, 1.0),
    }
}

/// Weighted reciprocal rank fusion: a chunk scores `weight / (constant + rank)` in each leg that found it. Best first; equal
/// scores stand in the order of their keys.
pub(super) fn fuse(text: &[LegHit], vector: &[LegHit], weights: (f32, f32), constant: f32) -> Vec<Candidate> {
    let mut candidates: HashMap<ChunkKey, Candidate> = HashMap::new();
    let mut add = |hits: &[LegHit], weight: f32, is_text: bool| {
        for (rank, hit) in (1u32..).zip(hits) {
            let candidate = candidates.entry(hit.chunk).or_insert_with(|| Candidate {
                key: hit.chunk,
                text: None,
                vector: None,
                fused: 0.0,
                matched: Vec::new(),
            });
            let place = LegRank { rank, score: hit.score as f32 };
            if is_text {
                candidate.text = Some(place);
                candidate.matched.clone_from(&hit.matched);
            } else {
                candidate.vector = Some(place);
            }
            candidate.fused += weight / (constant + rank as f32);
        }
    };
    add(text, weights.0, true);
    add(vector, weights.1, false);
    let mut fused: Vec<Candidate> = candidates.into_values().collect();
    fused.sort_by(|a, b| b.fused.total_cmp(&a.fused).then(a.key.cmp(&b.key)));
    fused
}
