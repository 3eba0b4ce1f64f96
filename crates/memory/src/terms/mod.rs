//! Terms: the words of a text as they are indexed and looked for, the same for both databases.
//!
//! Owns: where words begin and end, what of them is folded, split, stemmed or dropped. Leaves out counting and ranking.

/// The terms of a text that is indexed, in order and with repetitions: lower-case letters and digits only, at most 64
/// bytes each.
#[must_use]
pub fn of_text(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// The terms of a question, in order, each once.
#[must_use]
pub fn of_query(text: &str) -> Vec<String> {
    let mut terms = of_text(text);
    let mut seen = std::collections::HashSet::new();
    terms.retain(|term| seen.insert(term.clone()));
    terms
}
