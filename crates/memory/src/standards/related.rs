//! What the other standards of a project say about the same: the same name, the same text, the opposite.
//!
//! Contradictions are found by a few words, so they are questions to a person: some are none, and some are missed.

use std::collections::{BTreeMap, BTreeSet};

use masque_types::standard::StandardKey;

use super::{
    finding::Finding,
    rules::{self, Demand, Rule},
};

/// A standard that is there already.
#[derive(Debug, Clone, Copy)]
pub struct Existing<'a> {
    /// Its name.
    pub key: &'a StandardKey,
    /// Its title.
    pub title: &'a str,
    /// Its text.
    pub content: &'a str,
}

/// Words in a row that are compared.
const SHINGLE: usize = 4;
/// The share of a text's rows of words that another one has, from which it says the same.
const SAME: f64 = 0.5;
/// The share of common words from which two rules are about the same matter.
const SAME_MATTER: f64 = 0.6;
/// How many findings of one kind are shown.
const MOST: usize = 8;

/// Duplicates, contradictions, and whether there is a standard of that name.
#[must_use]
pub fn findings(own: &StandardKey, title: &str, content: &str, others: &[Existing<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let shingles = shingles(content);
    let own_rules = rules::of(content);
    findings.extend(within(&own_rules));
    for other in others.iter().filter(|other| other.key != own) {
        let shared = share(&shingles, &self::shingles(other.content));
        if shared >= SAME {
            let percent = (shared * 100.0).round();
            findings.push(Finding::warning(
                "duplicate",
                None,
                format!("says {percent} % of what {} says already", other.key),
            ));
        } else if other.key.topic == own.topic {
            let what = format!("{} has the same topic in another domain", other.key);
            findings.push(Finding::note("duplicate", None, what));
        } else if same_title(title, other.title) {
            findings.push(Finding::note("duplicate", None, format!("{} has the same title", other.key)));
        }
        findings.extend(between(&own_rules, other).into_iter().take(MOST));
    }
    findings.truncate(4 * MOST);
    findings
}

fn same_title(one: &str, two: &str) -> bool {
    let words = |text: &str| rules::words(text).collect::<BTreeSet<_>>();
    let (one, two) = (words(one), words(two));
    !one.is_empty() && one == two
}

/// The rows of words of a text.
fn shingles(text: &str) -> BTreeSet<Vec<String>> {
    let words: Vec<String> = rules::words(text).collect();
    if words.len() < SHINGLE {
        return if words.is_empty() { BTreeSet::new() } else { [words].into() };
    }
    words.windows(SHINGLE).map(<[String]>::to_vec).collect()
}

/// The share of the smaller set that the other one has: a standard that swallows another one is a duplicate too.
fn share(one: &BTreeSet<Vec<String>>, two: &BTreeSet<Vec<String>>) -> f64 {
    let smaller = one.len().min(two.len());
    if smaller < 3 {
        return 0.0;
    }
    let common = one.intersection(two).count();
    f64::from(u32::try_from(common).unwrap_or(u32::MAX)) / f64::from(u32::try_from(smaller).unwrap_or(u32::MAX))
}

/// Rules of one text that contradict each other.
fn within(rules: &[Rule]) -> Vec<Finding> {
    let pairs = rules.iter().enumerate().flat_map(|(place, one)| {
        rules.iter().skip(place + 1).filter(move |two| two.line != one.line).map(move |two| (one, two))
    });
    let clash = |(one, two): (&Rule, &Rule)| {
        let how = contradicts(one, two)?;
        let what = format!("{how}: line {} says “{}”", two.line, shortened(&two.sentence));
        Some(Finding::warning("conflict", Some(one.line), what))
    };
    pairs.filter_map(clash).take(MOST).collect()
}

/// Rules of the text that contradict rules of another standard.
fn between(own: &[Rule], other: &Existing<'_>) -> Vec<Finding> {
    let others = rules::of(other.content);
    let mut by_word: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
    for rule in &others {
        for word in &rule.words {
            by_word.entry(word).or_default().push(rule);
        }
    }
    let mut findings = Vec::new();
    for rule in own {
        let candidates = rule.words.iter().filter_map(|word| by_word.get(word.as_str())).flatten();
        let mut lines = BTreeSet::new();
        for candidate in candidates.filter(|candidate| lines.insert((candidate.line, candidate.sentence.as_str()))) {
            if let Some(how) = contradicts(rule, candidate) {
                let said = shortened(&candidate.sentence);
                let what = format!("{how}: {}, line {}, says “{said}”", other.key, candidate.line);
                findings.push(Finding::warning("conflict", Some(rule.line), what));
            }
        }
    }
    findings
}

/// How two rules contradict each other, if they do.
fn contradicts(one: &Rule, two: &Rule) -> Option<&'static str> {
    let common = one.words.intersection(&two.words).count();
    let all = one.words.union(&two.words).count();
    let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    let is_same_matter = common >= 2 && count(common) / count(all.max(1)) >= SAME_MATTER;
    if !is_same_matter {
        return None;
    }
    if one.demand != two.demand {
        return Some(match one.demand {
            Demand::Do => "demands what another rule forbids",
            Demand::Avoid => "forbids what another rule demands",
        });
    }
    let both_have_numbers = !one.numbers.is_empty() && !two.numbers.is_empty();
    (both_have_numbers && one.numbers.is_disjoint(&two.numbers) && common >= 3).then_some("gives another number")
}

fn shortened(sentence: &str) -> String {
    if sentence.chars().count() <= 100 {
        return sentence.to_owned();
    }
    sentence.chars().take(99).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standards::key::parse;

    const API: &str = "# API conventions\n\nPaths must use plural nouns. Handlers must never log access tokens.\n\n\
        - Responses must time out after 30 seconds.\n- Use cursor pagination for list endpoints.\n";

    fn against(own: &str, content: &str) -> Vec<String> {
        let (key, other) = (parse(own).unwrap(), parse("architecture/api-conventions").unwrap());
        let existing = [Existing { key: &other, title: "API conventions", content: API }];
        findings(&key, "Some title", content, &existing).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn the_opposite_of_a_rule_is_shown() {
        assert_eq!(
            against("security/logging", "Handlers should always log access tokens."),
            [
                "demands what another rule forbids: architecture/api-conventions, line 3, says “Handlers must never log access tokens”"
            ]
        );
        assert_eq!(
            against("data/paths", "Never use plural nouns in paths."),
            [
                "forbids what another rule demands: architecture/api-conventions, line 3, says “Paths must use plural nouns”"
            ]
        );
        assert_eq!(
            against("sre/limits", "Responses must time out after 60 seconds."),
            [
                "gives another number: architecture/api-conventions, line 5, says “Responses must time out after 30 seconds”"
            ]
        );
        let own =
            against("sre/own", "Retries must be limited to five attempts.\nNever limit retries to five attempts.");
        assert!(own[0].contains("line 2 says"), "{own:?}");
    }

    #[test]
    fn the_same_text_and_the_same_name_are_shown() {
        assert!(against("data/x", API)[0].starts_with("says 100 % of what architecture/api-conventions"));
        assert_eq!(
            against("data/api-conventions", "Tables have a primary key that is a number."),
            ["architecture/api-conventions has the same topic in another domain"]
        );
        assert!(against("architecture/api-conventions", API).is_empty(), "itself is no duplicate");
    }

    #[test]
    fn other_matters_are_no_conflict() {
        for text in [
            "Never commit generated files.",
            "Handlers must log the id of the request.",
            "Background jobs must not use plural forms in queue identifiers of the broker.",
            "Responses must be compressed after 30 KiB.",
        ] {
            assert!(against("data/x", text).is_empty(), "{text}: {:?}", against("data/x", text));
        }
    }
}
