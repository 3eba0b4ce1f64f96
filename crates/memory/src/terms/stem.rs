//! Stems, and the compounds that hyphens make. Leaves out where words begin and end.
//!
//! English words are stemmed by Porter's second algorithm (Snowball), and with them all words in Latin letters; Russian,
//! Greek, Arabic and Tamil words by their own.

use std::cell::OnceCell;

use rust_stemmers::{Algorithm, Stemmer};

use super::{LONGEST, fold};

/// Collects the terms of one text.
#[derive(Default)]
pub(super) struct Stems {
    terms: Vec<String>,
    /// The word before, while only a hyphen stands between it and the next.
    hyphenated: Option<(String, bool)>,
    english: Lazy,
    russian: Lazy,
    greek: Lazy,
    arabic: Lazy,
    tamil: Lazy,
}

#[derive(Default)]
struct Lazy(OnceCell<Stemmer>);

impl Lazy {
    fn stem<'a>(&self, algorithm: Algorithm, word: &'a str) -> std::borrow::Cow<'a, str> {
        self.0.get_or_init(|| Stemmer::create(algorithm)).stem(word)
    }
}

impl Stems {
    /// What was collected.
    pub(super) fn into_terms(self) -> Vec<String> {
        self.terms
    }

    /// Adds a folded word by its stem.
    pub(super) fn push(&mut self, word: &str) {
        let stemmed = self.stemmed(word);
        self.push_plain(&stemmed);
    }

    /// Adds a folded word as it is.
    pub(super) fn push_plain(&mut self, word: &str) {
        if !word.is_empty() {
            self.terms.push(word.to_owned());
        }
    }

    /// Tells that a folded word has ended: with the one before it, it is a compound if only a hyphen stood between.
    pub(super) fn compound(&mut self, whole: String) {
        let joined = match self.hyphenated.take() {
            Some((before, true)) if before.len() + whole.len() <= LONGEST => {
                let joined = before + &whole;
                self.push(&joined);
                joined
            }
            _ => whole,
        };
        self.hyphenated = Some((joined, false));
    }

    /// Tells what stood between two words.
    pub(super) fn between(&mut self, segment: &str) {
        self.hyphenated = match self.hyphenated.take() {
            Some((word, false)) if matches!(segment, "-" | "\u{2010}" | "\u{2011}") => Some((word, true)),
            _ => None,
        };
    }

    fn stemmed(&self, word: &str) -> String {
        let Some(first) = word.chars().next() else { return String::new() };
        let stem = match first {
            '0'..='9' => return word.to_owned(),
            'a'..='z' | '\u{e0}'..='\u{24f}' => self.english.stem(Algorithm::English, word),
            '\u{370}'..='\u{3ff}' => self.greek.stem(Algorithm::Greek, word),
            '\u{400}'..='\u{4ff}' => self.russian.stem(Algorithm::Russian, word),
            '\u{600}'..='\u{6ff}' => self.arabic.stem(Algorithm::Arabic, word),
            '\u{b80}'..='\u{bff}' => self.tamil.stem(Algorithm::Tamil, word),
            _ => return word.to_owned(),
        };
        let plain = fold::folded(&stem);
        if plain.is_empty() { word.to_owned() } else { plain }
    }
}
