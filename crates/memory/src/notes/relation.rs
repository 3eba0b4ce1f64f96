//! Whether two notes speak of the same thing and say something else of it. Leaves out what is done then.
//!
//! Rules, not understanding: a note is split at the first word that joins a subject with what is said of it. Notes with the
//! same subject and another value contradict each other, as do notes that differ in a number or a denial only. What the rules
//! do not see stays unflagged; nothing is ever changed because of them.

use std::collections::HashSet;

use super::shingles::{denies, is_negation};
use crate::terms;

/// How two notes stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// They say the same.
    Same,
    /// They say different things of the same subject.
    Contradicts,
    /// Neither can be seen.
    Apart,
}

/// Subjects that share so much are the same.
const SAME_SUBJECT: f32 = 0.6;
/// Values that share so much are the same.
const SAME_VALUE: f32 = 0.7;
/// Values that share at most so much are different.
const OTHER_VALUE: f32 = 0.5;
/// Notes that share so much of all their terms differ in their value only.
const SAME_FRAME: f32 = 0.6;
/// Notes that share so much, and of which each has a word of its own, are one sentence with two values.
const SAME_SENTENCE: f32 = 0.7;

pub(super) fn relation(a: &str, b: &str) -> Relation {
    let (terms_a, terms_b) = (telling(a), telling(b));
    if terms_a.is_empty() || terms_b.is_empty() {
        return Relation::Apart;
    }
    let alike = likeness(&terms_a, &terms_b);
    if denies(a) != denies(b) && alike >= SAME_VALUE {
        return Relation::Contradicts;
    }
    if alike >= SAME_FRAME && differ_in_numbers(&terms_a, &terms_b) {
        return Relation::Contradicts;
    }
    if alike >= SAME_SENTENCE
        && terms_a.difference(&terms_b).next().is_some()
        && terms_b.difference(&terms_a).next().is_some()
    {
        return Relation::Contradicts;
    }
    if terms_a == terms_b {
        return Relation::Same;
    }
    match (split(a), split(b)) {
        (Some(a), Some(b)) if likeness(&a.subject, &b.subject) >= SAME_SUBJECT => said_of_the_same(&a, &b),
        _ => Relation::Apart,
    }
}

/// What is said of one subject is the same, or it is another value of the same property. `Anna likes tea` and `Anna likes
/// hiking` are neither: only what something *is* can be one thing alone.
fn said_of_the_same(a: &Split, b: &Split) -> Relation {
    let values = likeness(&a.value, &b.value);
    if values >= SAME_VALUE {
        return if a.denies == b.denies { Relation::Same } else { Relation::Contradicts };
    }
    let property = a.value.intersection(&b.value).next().is_some();
    let short = a.value.len() <= 3 && b.value.len() <= 3;
    let one_thing = a.identity && b.identity && (a.subject.len() >= 2 || short);
    if values <= OTHER_VALUE && (property || one_thing) { Relation::Contradicts } else { Relation::Apart }
}

/// The terms that carry meaning.
fn telling(text: &str) -> HashSet<String> {
    terms::telling(text).into_iter().filter(|term| !is_negation(term) && !is_time(term)).collect()
}

/// Words that say when something was found out, not what.
fn is_time(term: &str) -> bool {
    matches!(
        term,
        "now"
            | "current"
            | "new"
            | "anymor"
            | "longer"
            | "today"
            | "yesterday"
            | "recent"
            | "updat"
            | "chang"
            | "actual"
            | "instead"
    )
}

fn likeness(a: &HashSet<String>, b: &HashSet<String>) -> f32 {
    let common = a.intersection(b).count();
    let all = a.len() + b.len() - common;
    if all == 0 { 0.0 } else { common as f32 / all as f32 }
}

/// Whether both have numbers of their own, and nothing else that tells them apart.
fn differ_in_numbers(a: &HashSet<String>, b: &HashSet<String>) -> bool {
    let number = |term: &String| term.chars().any(|c| c.is_ascii_digit());
    let own_a: Vec<_> = a.difference(b).collect();
    let own_b: Vec<_> = b.difference(a).collect();
    !own_a.is_empty() && !own_b.is_empty() && own_a.into_iter().chain(own_b).all(number)
}

/// A note, split at its first joining word.
struct Split {
    subject: HashSet<String>,
    value: HashSet<String>,
    /// Whether it says what the subject is, not what it does.
    identity: bool,
    denies: bool,
}

fn split(text: &str) -> Option<Split> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = words
        .iter()
        .position(|word| joins(word) && *word != ":")
        .filter(|at| *at > 0 || words.first().is_some_and(|word| word.ends_with(':')))?;
    let joint = words.get(at)?;
    // `port: 8080` is joined by the end of a word that belongs to the subject.
    let end = if joint.ends_with(':') { at + 1 } else { at };
    let subject = telling(&words.get(..end)?.join(" "));
    let value = telling(&words.get(at + 1..)?.join(" "));
    let identity = joint.ends_with(':')
        || matches!(joint.to_lowercase().as_str(), "is" | "are" | "was" | "were" | "=" | "->" | "equals" | "means");
    (!subject.is_empty() && !value.is_empty()).then(|| Split { subject, value, identity, denies: denies(text) })
}

fn joins(word: &str) -> bool {
    let word = word.to_lowercase();
    word.ends_with(':')
        || matches!(
            word.as_str(),
            "is" | "are"
                | "was"
                | "were"
                | "be"
                | "="
                | "->"
                | "uses"
                | "use"
                | "prefers"
                | "prefer"
                | "lives"
                | "runs"
                | "requires"
                | "likes"
                | "equals"
                | "means"
                | "has"
                | "have"
                | "must"
                | "should"
                | "shall"
                | "moved"
                | "became"
                | "changed"
                | "wants"
                | "works"
                | "owns"
                | "goes"
                | "belongs"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations() {
        let cases = [
            ("The staging port is 8080", "The staging port is 9090", Relation::Contradicts),
            ("The staging port is 8080.", "the staging port is now 8080", Relation::Same),
            ("The database is PostgreSQL", "The database is now SQLite", Relation::Contradicts),
            ("Anna prefers tabs for indentation", "Anna prefers spaces for indentation", Relation::Contradicts),
            ("Anna prefers tabs", "Anna prefers dark themes", Relation::Apart),
            ("Deploys need an approval", "Deploys do not need an approval", Relation::Contradicts),
            ("Deploys are on Friday", "The logo is blue", Relation::Apart),
            ("Retries: at most 3 for each request", "Retries: at most 5 for each request", Relation::Contradicts),
            ("The staging port is 8080", "The production port is 9090", Relation::Apart),
            ("Bob owns the billing service", "Carol owns the search service", Relation::Apart),
        ];
        for (a, b, expect) in cases {
            assert_eq!(relation(a, b), expect, "{a} / {b}");
            assert_eq!(relation(b, a), expect, "{b} / {a}");
        }
    }
}
