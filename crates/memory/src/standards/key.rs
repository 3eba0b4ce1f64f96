//! Names of standards: `architecture/api-conventions`, and `standard://architecture/api-conventions` where they are cited.
//!
//! A name is all that a proposal says about where its file goes, so a name has no `/`, no `.` and no `..`.

use masque_types::standard::StandardKey;

/// The longest part of a name in bytes.
const LONGEST: usize = 64;

/// The scheme of citations.
const SCHEME: &str = "standard://";

/// A text that names no standard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no standard: expected domain/topic, each 1 to 64 lower-case letters, digits and `-`, for example architecture/api-conventions"
)]
pub struct KeyError(pub String);

/// The name with these parts.
///
/// # Errors
/// When a part is empty, too long, or has other characters than lower-case letters, digits and inner `-`.
pub fn key(domain: &str, topic: &str) -> Result<StandardKey, KeyError> {
    if is_word(domain) && is_word(topic) {
        return Ok(StandardKey { domain: domain.to_owned(), topic: topic.to_owned() });
    }
    Err(KeyError(format!("{domain}/{topic}")))
}

/// Reads `domain/topic`, or a citation of it.
///
/// # Errors
/// As for [`key`].
pub fn parse(text: &str) -> Result<StandardKey, KeyError> {
    let plain = text.strip_prefix(SCHEME).unwrap_or(text);
    let (domain, topic) = plain.split_once('/').ok_or_else(|| KeyError(text.to_owned()))?;
    key(domain, topic).map_err(|_| KeyError(text.to_owned()))
}

/// How a standard is cited.
#[must_use]
pub fn citation(key: &StandardKey) -> String {
    format!("{SCHEME}{key}")
}

/// The name of a file by its path below the directory of the standards: its first directory is the domain, the rest the
/// topic; a file at the top belongs to the domain `general`. None when nothing is left of a part.
#[must_use]
pub fn key_of_file(below: &str) -> Option<StandardKey> {
    let stem = below.rsplit_once('.').map_or(below, |(stem, _)| stem);
    let (domain, topic) = stem.split_once('/').unwrap_or(("general", stem));
    key(&plain(domain), &plain(topic)).ok()
}

fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with('-') && !text.ends_with('-')
}

/// A path in the characters of a name.
fn plain(text: &str) -> String {
    let mut word = String::new();
    for letter in text.chars().flat_map(char::to_lowercase) {
        match letter {
            'a'..='z' | '0'..='9' => word.push(letter),
            _ if word.ends_with('-') || word.is_empty() => {}
            _ => word.push('-'),
        }
    }
    word.truncate(LONGEST);
    word.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_name_leads_anywhere_else(domain in ".{0,12}", topic in ".{0,12}") {
            if let Ok(key) = key(&domain, &topic) {
                let path = key.to_string();
                prop_assert!(!path.contains('.') && path.matches('/').count() == 1 && !path.starts_with('/'));
                prop_assert_eq!(parse(&citation(&key)).unwrap(), key);
            }
        }

        #[test]
        fn every_path_has_a_plain_name_or_none(below in "[\\PC/.]{0,40}") {
            if let Some(found) = key_of_file(&below) {
                prop_assert_eq!(key(&found.domain, &found.topic).unwrap(), found);
            }
        }
    }

    #[test]
    fn names_of_trees_that_were_there_before() {
        let name = |below: &str| key_of_file(below).map(|key| key.to_string());
        assert_eq!(name("development/error-handling.md").unwrap(), "development/error-handling");
        assert_eq!(name("development/Rust/Error_Handling.md").unwrap(), "development/rust-error-handling");
        assert_eq!(name("README.md").unwrap(), "general/readme");
        assert_eq!(name("données/été.md").unwrap(), "donn-es/t");
        assert_eq!(name("---/x.md"), None);
        for wrong in ["", "a", "a/", "/b", "A/b", "a/b/c", "a/../b", "a/b.md", "a/-b", "standard://a", "run://a/b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
