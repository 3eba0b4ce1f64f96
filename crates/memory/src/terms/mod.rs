//! Terms: the words of a text as they are indexed and looked for, the same for both databases.
//!
//! Owns: where words begin and end, what of them is folded, split, stemmed or dropped. Leaves out counting and ranking.
//!
//! Words end where Unicode Standard Annex #29 says, folded ([`fold`]), split where identifiers have seams ([`parts`]), and
//! stemmed ([`stem`]). Scripts without spaces between words become overlapping pairs of characters. Nothing is guessed
//! about a text's language beyond the script of each word: a question of three words gives no ground for a guess, and a
//! text and a question that are treated differently never meet.

mod fold;
mod parts;
mod stem;
mod stop;

use std::collections::HashSet;

use unicode_segmentation::UnicodeSegmentation;

pub(crate) use fold::is_unspaced;
use stem::Stems;

/// Bytes of a term at most; what is longer is cut. Digests in hexadecimal just fit.
pub const LONGEST: usize = 64;

/// The terms of a text that is indexed, in order and with repetitions: lower-case letters and digits only, at most
/// [`LONGEST`] bytes each.
#[must_use]
pub fn of_text(text: &str) -> Vec<String> {
    let mut terms = Stems::default();
    terms.read(text);
    terms.into_terms()
}

/// The terms of a question, in order, each once. Words that every text has are left out, unless there is nothing else.
#[must_use]
pub fn of_query(text: &str) -> Vec<String> {
    let telling = telling(text);
    if telling.is_empty() { each_once(of_text(text)) } else { telling }
}

/// The terms of a text that say what it is about, in order, each once.
#[must_use]
pub fn telling(text: &str) -> Vec<String> {
    let mut terms = each_once(of_text(text));
    terms.retain(|term| !stop::is_function_word(term));
    terms
}

fn each_once(mut terms: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    terms.retain(|term| seen.insert(term.clone()));
    terms
}

/// Whether a question rather names a thing than describes it: an identifier, a path, a flag, or a quotation.
#[must_use]
pub fn names_a_thing(query: &str) -> bool {
    let query = query.trim();
    let quoted = query.len() > 2 && query.starts_with(['"', '`', '\'']) && query.ends_with(['"', '`', '\'']);
    let words: Vec<&str> = query.split_whitespace().collect();
    let named = words.iter().filter(|word| parts::is_identifier(word)).count();
    quoted || (named > 0 && named * 2 >= words.len())
}

impl Stems {
    fn read(&mut self, text: &str) {
        let mut run: Vec<char> = Vec::new();
        for segment in text.split_word_bounds() {
            let mut chars = segment.chars();
            match (chars.next(), chars.next()) {
                (Some(only), None) if fold::is_unspaced(only) => {
                    run.push(only);
                    continue;
                }
                (Some(first), Some(_)) if fold::is_unspaced(first) => {
                    run.extend(segment.chars().filter(|c| fold::is_unspaced(*c)));
                    continue;
                }
                _ => self.pairs(&mut run),
            }
            if segment.chars().any(char::is_alphanumeric) {
                self.word(segment);
            } else {
                self.between(segment);
            }
        }
        self.pairs(&mut run);
    }

    /// Overlapping pairs of a run of characters without spaces; a single character stands for itself.
    fn pairs(&mut self, run: &mut Vec<char>) {
        match run.as_slice() {
            [] => return,
            [only] => self.push_plain(&fold::folded(&only.to_string())),
            _ => {
                for pair in run.windows(2) {
                    self.push_plain(&fold::folded(&pair.iter().collect::<String>()));
                }
            }
        }
        run.clear();
    }

    fn word(&mut self, word: &str) {
        let word = parts::without_elision(word);
        let split = parts::of(&word);
        for part in &split {
            self.push(&fold::folded(part));
        }
        let whole = fold::folded(&word);
        if split.len() > 1 {
            self.push_plain(&whole);
        }
        self.compound(whole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expect: &str) {
        assert_eq!(of_text(text).join(" "), expect, "{text}");
    }

    #[test]
    fn words_are_folded_and_stemmed() {
        check("The quick brown foxes jumped", "the quick brown fox jump");
        check("Café naïve Straße Ångström", "cafe naiv strass angstrom");
        check("ﬁle ２０２６", "file 2026");
        check("don't the file's l'homme", "dont the file homm");
        check("Домами и дома", "дом и дом");
    }

    #[test]
    fn identifiers_give_their_parts_and_themselves() {
        check("HttpClient", "http client httpclient");
        check("HTTPServer2", "http server2 httpserver2");
        check("snake_case_name", "snake case name snakecasename");
        check("std::io::Error", "std io error");
        check("config.toml", "config toml configtoml");
        check("apt-get", "apt get aptget");
        check("--no-color", "no color nocolor");
        check("v1.2.3", "v1 2 3 v123");
    }

    #[test]
    fn scripts_without_spaces_give_pairs() {
        check("東京都", "東京 京都");
        check("中", "中");
        check("日本語 text", "日本 本語 text");
        check("ภาษา", "ภา าษ ษา");
    }

    #[test]
    fn questions_lose_function_words_but_never_all() {
        assert_eq!(of_query("how to handle the errors in the errors"), ["handl", "error"]);
        assert_eq!(of_query("to be or not to be"), ["to", "be", "or", "not"]);
        assert!(of_query("  ?!  ").is_empty());
    }

    #[test]
    fn names_are_told_from_descriptions() {
        for query in ["HashMap::entry", "--no-color", "src/main.rs", "read_to_string", "\"exact words\"", "E0382"] {
            assert!(names_a_thing(query), "{query}");
        }
        for query in ["how do I read a file", "ownership", "What is Rust?", "read-only access"] {
            assert!(!names_a_thing(query), "{query}");
        }
    }

    proptest! {
        #[test]
        fn terms_are_plain_short_and_the_same_again(text in "\\PC{0,120}") {
            for term in of_text(&text) {
                prop_assert!(!term.is_empty() && term.len() <= LONGEST);
                prop_assert!(term.chars().all(char::is_alphanumeric), "{term:?}");
                prop_assert_eq!(&term.to_lowercase(), &term);
            }
            prop_assert_eq!(of_text(&text), of_text(&text));
        }

        #[test]
        fn a_text_is_found_by_each_of_its_words(words in proptest::collection::vec("[a-zA-Z]{1,12}", 1..8)) {
            let text = of_text(&words.join(" "));
            for word in &words {
                for term in of_query(word) {
                    prop_assert!(text.contains(&term), "{term} of {word}");
                }
            }
        }
    }
}
