//! Talk: what people and models say to each other while they work, which states nothing. Leaves out questions.
//!
//! Recognised by its make, not by lists of sentences: it consists of social words alone, or it says what the speaker is
//! doing at this moment, or its first part is talk and the rest goes on without a subject and a verb.

use crate::terms;

/// Words of a remark at most; what is longer says something besides.
const REMARK_WORDS: usize = 9;

/// Words, as stems, of which greetings, thanks, assent, wishes, excuses and requests to wait are made. A text of these alone
/// names no thing that anything could be said of.
const SOCIAL: &[&str] = &[
    "again",
    "ah",
    "alright",
    "appreci",
    "away",
    "awesom",
    "back",
    "best",
    "bit",
    "bye",
    "care",
    "cheer",
    "come",
    "cool",
    "day",
    "done",
    "els",
    "enjoy",
    "even",
    "everybodi",
    "everyon",
    "excel",
    "feel",
    "fine",
    "folk",
    "free",
    "friend",
    "get",
    "give",
    "glad",
    "go",
    "good",
    "goodby",
    "got",
    "great",
    "guess",
    "guy",
    "ha",
    "haha",
    "happi",
    "hello",
    "help",
    "here",
    "hey",
    "hi",
    "hm",
    "hmm",
    "hold",
    "hope",
    "idea",
    "indeed",
    "job",
    "keep",
    "know",
    "later",
    "let",
    "listen",
    "lol",
    "long",
    "look",
    "love",
    "luck",
    "mind",
    "minut",
    "moment",
    "morn",
    "nice",
    "night",
    "no",
    "now",
    "oh",
    "ok",
    "okay",
    "one",
    "oop",
    "pardon",
    "perfect",
    "pleas",
    "pleasur",
    "point",
    "problem",
    "quick",
    "quit",
    "read",
    "readi",
    "realli",
    "rest",
    "right",
    "same",
    "say",
    "sec",
    "second",
    "see",
    "shame",
    "shortli",
    "sleep",
    "soon",
    "sorri",
    "sound",
    "stay",
    "still",
    "sure",
    "take",
    "talk",
    "tell",
    "thank",
    "thing",
    "think",
    "till",
    "time",
    "today",
    "tomorrow",
    "tonight",
    "truli",
    "tune",
    "understand",
    "understood",
    "until",
    "up",
    "wait",
    "weekend",
    "welcom",
    "well",
    "wish",
    "wonder",
    "work",
    "worri",
    "wow",
    "yeah",
    "yep",
    "yes",
];

/// Words that point at the moment or at what lies before the speaker. What ends with one is true for as long as it is said.
const POINTING: &[&str] =
    &["it", "moment", "now", "shortly", "soon", "that", "them", "these", "this", "those", "up", "you"];

/// Beginnings with which a speaker says what they are doing.
const MYSELF: &[&str] = &["i am ", "i'm ", "we are ", "we're "];

/// Whether a text, in lower case, is a remark.
pub(super) fn is_remark(text: &str) -> bool {
    words(text).len() <= REMARK_WORDS && is_social(text)
}

/// Whether a text, in lower case, says what is being done while it is said.
pub(super) fn is_of_the_moment(text: &str) -> bool {
    if words(text).len() > REMARK_WORDS || text.chars().any(|c| c.is_ascii_digit()) {
        return false;
    }
    let doing = MYSELF.iter().find_map(|myself| text.strip_prefix(myself));
    if ends_pointing(text) && begins_with_doing(doing.unwrap_or(text)) {
        return true;
    }
    // `One second, fetching the page`: after talk there is nobody left who could be the subject.
    text.split_once([',', ':', ';', '–', '…'])
        .is_some_and(|(before, after)| is_social(before) && begins_with_doing(doing_part(after)))
}

/// What follows `I am`, if that is how it begins.
fn doing_part(text: &str) -> &str {
    let text = text.trim_start();
    MYSELF.iter().find_map(|myself| text.strip_prefix(myself)).unwrap_or(text)
}

fn is_social(text: &str) -> bool {
    let terms = terms::telling(text);
    !terms.is_empty() && terms.iter().all(|term| SOCIAL.contains(&term.as_str()))
}

/// `reading`, `now reading`, `just looking`: what is done, by its form.
fn begins_with_doing(text: &str) -> bool {
    let mut words = text.split_whitespace().skip_while(|word| matches!(*word, "now" | "just" | "still" | "currently"));
    words.next().is_some_and(|word| word.len() > 5 && word.ends_with("ing"))
}

fn ends_pointing(text: &str) -> bool {
    words(text).last().is_some_and(|word| POINTING.contains(word))
}

fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_are_told_from_facts() {
        for text in [
            "good luck with that!",
            "talk to you soon",
            "oh wow, nice one",
            "see you all later today",
            "take care, everyone",
            "hold on a minute",
            "yep, that works for me",
        ] {
            assert!(is_remark(text), "{text}");
        }
        for text in
            ["anna is back on monday", "good friday is a holiday", "no work on fridays", "bob prefers tea", "ok-1"]
        {
            assert!(!is_remark(text), "{text}");
        }
    }

    #[test]
    fn what_is_being_done_is_told_from_what_holds() {
        for text in [
            "i'm uploading the file right now",
            "comparing the two branches now.",
            "we are still deciding about this",
            "hold on, fetching the page",
            "okay, i am deleting the branch",
        ] {
            assert!(is_of_the_moment(text), "{text}");
        }
        for text in [
            "loading the data takes long",
            "running the tests needs docker",
            "i am allergic to nuts",
            "i'm learning japanese",
            "the king is ill now",
            "building 7 is closed now",
            "billing: see the wiki",
        ] {
            assert!(!is_of_the_moment(text), "{text}");
        }
    }
}
