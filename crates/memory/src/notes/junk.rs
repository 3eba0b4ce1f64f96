//! Notes that state nothing worth keeping. Leaves out what is known already.

use std::{collections::HashSet, fmt};

use serde::Serialize;

use super::talk;
use crate::{chunk::estimated_tokens, terms};

/// A note of more tokens is a document.
const LONGEST_TOKENS: usize = 600;

/// What a text is that is no note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Junk {
    /// It has no words.
    Empty,
    /// It has too few words that mean something.
    TooLittle,
    /// It is too long for a fact.
    TooLong,
    /// It is talk: a greeting, thanks, assent.
    Talk,
    /// It is a question.
    Question,
    /// It says what is being done at the moment.
    Passing,
    /// It repeats the same words.
    Repetitive,
}

impl fmt::Display for Junk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it has no words",
            Self::TooLittle => "it states no fact: say what holds, in a sentence",
            Self::TooLong => "it is too long for a fact: add it as a document",
            Self::Talk => "it is talk, not a fact",
            Self::Question => "it is a question: note the answer",
            Self::Passing => "it says what is being done now, which soon is no longer true",
            Self::Repetitive => "it repeats the same words",
        })
    }
}

pub(super) fn judge(text: &str) -> Option<Junk> {
    let terms = terms::of_text(text);
    let telling = terms::telling(text);
    let lower = text.trim().to_lowercase();
    if terms.is_empty() {
        Some(Junk::Empty)
    } else if estimated_tokens(text) > LONGEST_TOKENS {
        Some(Junk::TooLong)
    } else if is_talk(&lower, terms.len()) {
        Some(Junk::Talk)
    } else if lower.ends_with('?') && !lower.trim_end_matches('?').contains(['.', ':', '?']) {
        Some(Junk::Question)
    } else if is_passing(&lower) {
        Some(Junk::Passing)
    } else if telling.len() < 2 && !has_value(&telling) {
        Some(Junk::TooLittle)
    } else if terms.len() >= 12 && telling.iter().collect::<HashSet<_>>().len() * 5 < terms.len() {
        Some(Junk::Repetitive)
    } else {
        None
    }
}

fn has_value(terms: &[String]) -> bool {
    terms.iter().any(|term| term.chars().any(|c| c.is_ascii_digit()) || !term.is_ascii())
}

/// Beginnings of remarks.
const GREETINGS: &[&str] = &[
    "hi",
    "hello",
    "hey",
    "thanks",
    "thank you",
    "sounds good",
    "looks good",
    "got it",
    "will do",
    "good morning",
    "good evening",
    "see you",
    "you're welcome",
    "no problem",
    "lgtm",
    "understood",
    "good question",
    "of course",
    "happy to help",
    "i'm happy to",
    "i am happy to",
    "let me know",
    "please let me know",
    "feel free",
];
/// Words that are a remark by themselves, and the beginning of anything else.
const ASSENT: &[&str] =
    &["ok", "okay", "sure", "great", "perfect", "yes", "no", "nice", "cool", "awesome", "done", "bye"];

/// Words of a remark at most; what is longer says something besides.
const REMARK_WORDS: usize = 9;

fn is_talk(text: &str, words: usize) -> bool {
    if talk::is_remark(text) {
        return true;
    }
    if words > REMARK_WORDS || text.contains(" is ") || text.contains(':') {
        return false;
    }
    let rest = |beginnings: &[&str]| beginnings.iter().find_map(|beginning| text.strip_prefix(beginning));
    rest(GREETINGS).is_some_and(|rest| rest.is_empty() || rest.starts_with(['!', ',', '.', ' ']))
        || rest(ASSENT).is_some_and(|rest| rest.is_empty() || rest.starts_with(['!', ',', '.']))
}

/// Beginnings of what is true for a moment only.
const PASSING: &[&str] = &[
    "i am going to",
    "i'm going to",
    "i will now",
    "i'll now",
    "let me ",
    "i am now",
    "i'm now",
    "now i ",
    "next, i",
    "next i ",
    "i'll start",
    "i will start",
    "i am currently",
    "i'm currently",
    "currently running",
    "running the",
    "waiting for",
    "working on it",
    "looking into",
    "checking the",
    "i'll check",
    "i will check",
    "i'll take",
    "one moment",
    "starting the",
    "the user asked",
    "the user is asking",
    "the user wants me",
    "heartbeat",
];

fn is_passing(text: &str) -> bool {
    talk::is_of_the_moment(text) || PASSING.iter().any(|beginning| text.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junk_is_told_from_facts() {
        let junk = [
            ("  ...", Junk::Empty),
            ("Thanks, that looks great!", Junk::Talk),
            ("ok", Junk::Talk),
            ("What is the port of staging?", Junk::Question),
            ("Let me look at the tests first.", Junk::Passing),
            ("it was", Junk::TooLittle),
            ("go go go go go go go go go go go go go go go", Junk::TooLittle),
        ];
        for (text, expect) in junk {
            assert_eq!(judge(text), Some(expect), "{text}");
        }
        assert_eq!(judge(&"fact and figure ".repeat(400)), Some(Junk::TooLong));
        assert_eq!(judge(&"fact figure ".repeat(20)), Some(Junk::Repetitive));
        for text in [
            "The staging port is 8080",
            "Anna prefers tabs",
            "No deploys on Friday",
            "ok: means healthy in the status page",
            "Port 8080",
        ] {
            assert_eq!(judge(text), None, "{text}");
        }
    }
}
