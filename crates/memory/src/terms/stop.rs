//! English words that say nothing about what a question is about, as stems. Leaves out when they are dropped.
//!
//! They are dropped from questions only: texts keep them, so that a question of nothing else still finds something.

/// Sorted, for the search.
const FUNCTION_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "am", "an", "and", "ani", "are", "as", "at", "be", "becaus", "been", "befor",
    "being", "but", "by", "can", "could", "did", "do", "doe", "doesnt", "dont", "each", "for", "from", "had", "has",
    "have", "how", "i", "if", "in", "into", "is", "isnt", "it", "its", "just", "may", "me", "might", "more", "most",
    "must", "my", "no", "not", "of", "on", "or", "other", "our", "shall", "should", "so", "some", "such", "than",
    "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "too", "under", "veri",
    "was", "we", "were", "what", "when", "where", "which", "while", "who", "whi", "whose", "will", "with", "would",
    "you", "your",
];

pub(super) fn is_function_word(term: &str) -> bool {
    FUNCTION_WORDS.contains(&term)
}
