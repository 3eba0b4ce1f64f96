//! What the full-text index of both databases holds: lexemes, made of a namespace, a term, and how often it occurs.
//!
//! A chunk of namespace 12 that has `deploy` twice in its text and once in its headings is indexed under `12_deploy`,
//! `12_deploy_2` and `12_deploy_h1`. So the index itself keeps namespaces apart, and a look at posting lists alone tells
//! how often a term occurs: neither database hands out positions or counts cheaply.

use std::collections::BTreeMap;

use masque_types::digest::Digest;

use super::record::NewChunk;

/// More occurrences of a term in a text count like this many: BM25 has levelled off by then.
pub(super) const TEXT_LEVELS: u8 = 8;
/// The same for title and headings.
pub(super) const HEADING_LEVELS: u8 = 2;
/// Longer terms are no words; PostgreSQL refuses lexemes of 2 KiB.
const LONGEST: usize = 256;

/// The lexemes of a chunk, separated by spaces, in order.
pub(super) fn of_chunk(namespace_key: i64, chunk: &NewChunk) -> String {
    let mut lexemes = Vec::new();
    for (term, count) in counts(&chunk.body_terms) {
        lexemes.extend((1..=count.min(TEXT_LEVELS)).map(|level| in_text(namespace_key, term, level)));
    }
    for (term, count) in counts(&chunk.heading_terms) {
        lexemes.extend((1..=count.min(HEADING_LEVELS)).map(|level| in_headings(namespace_key, term, level)));
    }
    lexemes.join(" ")
}

fn counts(terms: &[String]) -> BTreeMap<&str, u8> {
    let mut counts = BTreeMap::new();
    for term in terms.iter().filter(|term| usable(term)) {
        let count: &mut u8 = counts.entry(term.as_str()).or_default();
        *count = count.saturating_add(1);
    }
    counts
}

/// Whether a term can be indexed: letters and digits only, so that it can be mistaken for nothing else.
pub(super) fn usable(term: &str) -> bool {
    !term.is_empty() && term.len() <= LONGEST && term.chars().all(char::is_alphanumeric)
}

/// What a chunk is indexed under whose text has the term at least `level` times.
pub(super) fn in_text(namespace_key: i64, term: &str, level: u8) -> String {
    if level <= 1 { format!("{namespace_key}_{term}") } else { format!("{namespace_key}_{term}_{level}") }
}

/// What a chunk is indexed under whose headings have the term at least `level` times.
pub(super) fn in_headings(namespace_key: i64, term: &str, level: u8) -> String {
    format!("{namespace_key}_{term}_h{level}")
}

/// Tells whether the index holds something else for a chunk than it should.
pub(super) fn fingerprint(lexemes: &str) -> Digest {
    Digest::of(lexemes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use masque_types::memory::Chunk;

    #[test]
    fn a_chunk_is_indexed_once_per_level() {
        let terms = |text: &str| text.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
        let chunk = Chunk {
            ordinal: 0,
            headings: Vec::new(),
            text: String::new(),
            lines: (1, 1),
            tokens: 1,
            digest: Digest::of("text"),
        };
        let chunk = NewChunk { chunk, heading_terms: terms("deploy"), body_terms: terms("deploy größe deploy a_b") };
        assert_eq!(of_chunk(12, &chunk), "12_deploy 12_deploy_2 12_größe 12_deploy_h1");
        let many = NewChunk { body_terms: vec!["x".to_owned(); 300], ..chunk };
        assert_eq!(of_chunk(3, &many).split(' ').count(), usize::from(TEXT_LEVELS) + 1);
    }
}
