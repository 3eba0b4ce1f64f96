//! Shingles: how much of the wording two texts share (Broder 1997). Leaves out what follows from it.

use std::collections::HashSet;

use crate::terms;

/// Terms of a shingle.
const WIDTH: usize = 3;

/// The runs of three terms of a text; a shorter text is one shingle, and its terms are shingles too.
pub(super) struct Shingles(HashSet<String>);

impl Shingles {
    pub(super) fn of(text: &str) -> Self {
        let terms = terms::of_text(text);
        if terms.len() < WIDTH {
            return Self(HashSet::from([terms.join(" ")]));
        }
        Self(terms.windows(WIDTH).map(|run| run.join(" ")).collect())
    }

    /// The Jaccard coefficient.
    pub(super) fn likeness(&self, other: &Self) -> f32 {
        let common = self.0.intersection(&other.0).count();
        let all = self.0.len() + other.0.len() - common;
        if all == 0 { 0.0 } else { common as f32 / all as f32 }
    }

    /// The share of these that the other text has too.
    pub(super) fn share_in(&self, other: &Self) -> f32 {
        let common = self.0.intersection(&other.0).count();
        if self.0.is_empty() { 0.0 } else { common as f32 / self.0.len() as f32 }
    }
}

/// Whether two texts have the same numbers, and both or neither deny something.
pub(super) fn same_values(a: &str, b: &str) -> bool {
    values(a) == values(b) && denies(a) == denies(b)
}

fn values(text: &str) -> HashSet<String> {
    terms::of_text(text).into_iter().filter(|term| term.chars().any(|c| c.is_ascii_digit())).collect()
}

/// Whether a text has a word that turns its meaning around an odd number of times.
pub(super) fn denies(text: &str) -> bool {
    let negations = terms::of_text(text).iter().filter(|term| is_negation(term)).count();
    negations % 2 == 1
}

pub(super) fn is_negation(term: &str) -> bool {
    matches!(
        term,
        "not"
            | "no"
            | "never"
            | "without"
            | "dont"
            | "doesnt"
            | "isnt"
            | "arent"
            | "wont"
            | "cannot"
            | "cant"
            | "neither"
            | "nobodi"
            | "noth"
            | "didnt"
            | "shouldnt"
            | "mustnt"
    )
}
