//! The diagnostics of one load, each told once.

use std::collections::BTreeSet;

use masque_types::diagnostic::{Diagnostic, Severity};

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Notes {
    list: Vec<Diagnostic>,
    told: BTreeSet<String>,
}

impl Notes {
    /// Adds a diagnostic, unless the same is there: what stands in defaults is read once for each service.
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        if self.told.insert(diagnostic.to_string()) {
            self.list.push(diagnostic);
        }
    }

    /// Whether something cannot be used as it is.
    pub(super) fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// How many diagnostics there are.
    pub(super) const fn count(&self) -> usize {
        self.list.len()
    }

    /// All of them, by file and line.
    pub(super) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.list.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        self.list
    }
}

/// The candidate nearest to a word, if one is near enough to be a slip.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// What to do about an unknown word: the nearest known one, or all of them.
pub(super) fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    nearest(word, known.clone()).map_or_else(
        || format!("known here: {}", known.into_iter().collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean `{near}`?"),
    )
}
