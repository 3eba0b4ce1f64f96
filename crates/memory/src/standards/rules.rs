//! The rules in a text: sentences that demand or forbid something, as far as a few words tell. Leaves out comparing them.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;

use super::finding::numbered;

/// What a rule says about its matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// It has to be.
    Do,
    /// It must not be.
    Avoid,
}

/// A sentence that demands or forbids something.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) line: u32,
    pub(crate) sentence: String,
    pub(crate) demand: Demand,
    /// Its words, without those that every rule has.
    pub(crate) words: BTreeSet<String>,
    /// Numbers with their units.
    pub(crate) numbers: BTreeSet<String>,
}

static FORBIDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(never|must not|mustn't|should not|shouldn't|shall not|may not|do not|don't|cannot|avoid|forbidden|prohibited|not allowed|no longer|instead of)\b|^no\b").ok()
});
static DEMANDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(must|always|shall|should|required?|has to|have to|only|mandatory|prefer|use|ensure|is|are|may|allowed)\b").ok()
});
static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\d+([.,]\d+)*[a-z%]*$").ok());

/// The rules of a text. Headings and blocks of code hold none.
pub(crate) fn of(text: &str) -> Vec<Rule> {
    let mut in_code = false;
    let mut rules = Vec::new();
    for (line, content) in numbered(text) {
        let trimmed = content.trim_start();
        if trimmed.starts_with("```") || trimmed.starts_with("~~~") {
            in_code = !in_code;
            continue;
        }
        if in_code || trimmed.starts_with('#') || trimmed.starts_with('>') {
            continue;
        }
        rules.extend(sentences(trimmed).filter_map(|sentence| rule(line, sentence)));
    }
    rules
}

fn sentences(line: &str) -> impl Iterator<Item = &str> {
    line.split(['!', '?', ';'])
        .flat_map(|part| part.split(". "))
        .map(|part| part.trim_matches([' ', '-', '*', '+', '.']))
}

fn rule(line: u32, sentence: &str) -> Option<Rule> {
    let matches = |regex: &LazyLock<Option<Regex>>| regex.as_ref().is_some_and(|regex| regex.is_match(sentence));
    let demand = match (matches(&FORBIDS), matches(&DEMANDS)) {
        (true, _) => Demand::Avoid,
        (false, true) => Demand::Do,
        (false, false) => return None,
    };
    let (numbers, words): (BTreeSet<String>, BTreeSet<String>) =
        words(sentence).partition(|word| NUMBER.as_ref().is_some_and(|number| number.is_match(word)));
    (words.len() >= 2).then(|| Rule { line, sentence: sentence.to_owned(), demand, words, numbers })
}

/// Words in lower case without endings, without those that say nothing about the matter.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    let lower = text.to_lowercase();
    let words: Vec<String> = lower
        .split(|letter: char| !letter.is_alphanumeric() && !matches!(letter, '_' | '%'))
        .filter(|word| !word.is_empty() && !COMMON.contains(word))
        .map(stem)
        .collect();
    words.into_iter()
}

/// Enough of a stemmer for comparing two short sentences: `handlers` and `handler`, `logged` and `log`.
fn stem(word: &str) -> String {
    for (ending, least) in [("ies", 5), ("ing", 6), ("ged", 6), ("ed", 5), ("es", 5), ("s", 4)] {
        if let Some(stem) = word.strip_suffix(ending).filter(|_| word.len() >= least && !word.ends_with("ss")) {
            return match ending {
                "ies" => format!("{stem}y"),
                "ged" => stem.trim_end_matches('g').to_owned() + "g",
                _ => stem.to_owned(),
            };
        }
    }
    word.to_owned()
}

const COMMON: &[&str] = &[
    "a",
    "all",
    "allowed",
    "also",
    "always",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "avoid",
    "be",
    "been",
    "but",
    "by",
    "can",
    "cannot",
    "do",
    "does",
    "don",
    "each",
    "ensure",
    "every",
    "for",
    "forbidden",
    "from",
    "has",
    "have",
    "how",
    "if",
    "in",
    "instead",
    "into",
    "is",
    "it",
    "its",
    "longer",
    "make",
    "mandatory",
    "may",
    "must",
    "mustn",
    "never",
    "no",
    "not",
    "of",
    "on",
    "only",
    "or",
    "our",
    "out",
    "prefer",
    "prohibited",
    "require",
    "required",
    "shall",
    "should",
    "shouldn",
    "so",
    "such",
    "t",
    "than",
    "that",
    "the",
    "their",
    "them",
    "then",
    "there",
    "these",
    "they",
    "this",
    "to",
    "use",
    "used",
    "using",
    "via",
    "we",
    "when",
    "where",
    "which",
    "who",
    "will",
    "with",
    "you",
    "your",
];
