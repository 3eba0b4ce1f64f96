//! Names that are safe as a step of a path, and names that people could take for one another.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::Error;

/// The name of a persona: 1 to 64 lower-case letters, digits and `-`. It is a plain step of a path: never empty, a dot,
/// or with a separator.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// Checks the name of a persona.
    ///
    /// # Errors
    /// When it is no such name.
    pub fn of_persona(text: &str) -> Result<Self, Error> {
        Self::checked(text, "a persona")
    }

    /// Checks the name of a saved context.
    ///
    /// # Errors
    /// When it is no such name.
    pub fn of_context(text: &str) -> Result<Self, Error> {
        Self::checked(text, "a saved context")
    }

    fn checked(text: &str, what: &'static str) -> Result<Self, Error> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::Name { given: text.chars().take(80).collect(), what })
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of_persona(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// What is left of a name when everything that looks alike is one: the skeleton of Unicode Technical Standard 39,
/// without case and without hyphens, which readers overlook.
#[must_use]
pub fn skeleton(name: &str) -> String {
    let lower = name.to_lowercase();
    let once: String = unicode_security::skeleton(&lower).collect();
    // The prototype of a digit may be a capital letter: `0` is `O`.
    unicode_security::skeleton(&once.to_lowercase()).filter(|letter| *letter != '-').collect()
}

/// The first of some names that could be taken for this one.
pub fn look_alike<'a>(name: &str, others: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let own = skeleton(name);
    others.into_iter().find(|other| *other != name && skeleton(other) == own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_steps_of_a_path_are_names() {
        for good in ["architect", "a", "x-1", "-"] {
            assert_eq!(Name::of_persona(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a/b", "../a", "A", "ä", "a b", "a\0", "a\n", &"a".repeat(65)] {
            assert!(Name::of_persona(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_that_look_alike_are_found_and_others_are_not() {
        for (one, other) in
            [("sre", "ѕre"), ("qa-lead", "qalead"), ("model", "rnodel"), ("tool", "t0ol"), ("ali", "a1i")]
        {
            assert_eq!(look_alike(one, [other]), Some(other), "{one} {other}");
        }
        assert_eq!(look_alike("architect", ["architect", "architects", "engineer"]), None);
    }
}
