//! The judgement on a new note beside what is known. Leaves out what it is made of and what follows from it.

use std::collections::HashSet;

use masque_types::{id::DocumentId, memory::Document};

use crate::terms;

use super::{
    relation::{Relation, relation},
    shingles::{self, Shingles},
};

/// Notes that share so much of their shingles say the same.
const SAME_WORDS: f32 = 0.8;
/// Notes whose vectors are so near say the same, unless they differ in a value.
const SAME_MEANING: f32 = 0.95;
/// A note that shares so much of its shingles with a text, or the text with the note, holds no more than the text.
const CONTAINED: f32 = 0.8;
/// Words around a repeated text that add nothing: `as I said before`, `by the way`.
const MOST_ADDED: usize = 3;

/// A note that is there.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) document: Document,
    pub(super) text: String,
    /// The cosine to the new one, where both have vectors.
    pub(super) cosine: Option<f32>,
}

/// What is to be done with a new note.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Verdict {
    /// The note that says the same, and how alike they are.
    pub(super) duplicate: Option<(DocumentId, f32)>,
    /// Notes that say something else about the same thing.
    pub(super) contradicts: Vec<DocumentId>,
}

pub(super) fn judge(text: &str, known: &[Known]) -> Verdict {
    // In capitals a name has no seams: `PostgreSQL` and `POSTGRESQL` are the same only without them.
    let text = text.to_lowercase();
    let shingles = Shingles::of(&text);
    let mut verdict = Verdict::default();
    for other in known {
        let theirs = other.text.to_lowercase();
        let relation = relation(&text, &theirs);
        if relation == Relation::Contradicts {
            verdict.contradicts.push(other.document.id);
            continue;
        }
        let words = shingles.likeness(&Shingles::of(&theirs));
        let contained = adds_nothing(&text, &theirs) && shingles::same_values(&text, &theirs);
        let meaning = other.cosine.filter(|cosine| *cosine >= SAME_MEANING && shingles::same_values(&text, &theirs));
        let likeness = words.max(meaning.unwrap_or_default());
        let same = relation == Relation::Same
            || (words >= SAME_WORDS && (missing(&text, &theirs) == 0 || missing(&theirs, &text) == 0))
            || contained
            || meaning.is_some();
        if same && verdict.duplicate.is_none_or(|(_, best)| likeness > best) {
            verdict.duplicate = Some((other.document.id, likeness));
        }
    }
    verdict
}

/// Whether a note repeats what a search returned.
pub(super) fn is_recalled(text: &str, retrieved: &[String]) -> bool {
    let text = text.to_lowercase();
    retrieved.iter().any(|other| adds_nothing(&text, &other.to_lowercase()))
}

/// Whether a text is a part of another, or is the other with a few words around it. A text that has one word in place of
/// another one is neither.
fn adds_nothing(text: &str, other: &str) -> bool {
    let (mine, theirs) = (Shingles::of(text), Shingles::of(other));
    let added = missing(text, other);
    if mine.share_in(&theirs) >= CONTAINED && added == 0 {
        return true;
    }
    theirs.share_in(&mine) >= CONTAINED && added <= MOST_ADDED && missing(other, text) == 0
}

/// How many telling words of a text another one does not have.
fn missing(text: &str, from: &str) -> usize {
    let known: HashSet<String> = terms::of_text(from).into_iter().collect();
    terms::telling(text).into_iter().filter(|term| !known.contains(term)).count()
}
