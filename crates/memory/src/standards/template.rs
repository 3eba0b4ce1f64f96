//! The parts that a good standard has: context, pattern, examples, anti-patterns. What is missing is a note, never a refusal.

use super::finding::{Finding, numbered};

/// Estimated tokens from which a standard is better split: a search gives parts of it, and people read it whole.
const LONG_TOKENS: usize = 2_000;

/// A part and the words in headings that announce it.
const PARTS: [(&str, &[&str]); 4] = [
    ("context", &["context", "why", "background", "problem", "purpose", "motivation", "scope", "when"]),
    (
        "pattern",
        &["pattern", "rule", "standard", "approach", "decision", "guideline", "convention", "requirement", "how"],
    ),
    ("examples", &["example", "sample", "usage"]),
    ("anti-patterns", &["anti", "avoid", "don't", "do not", "never", "pitfall", "mistake", "not to do"]),
];

/// What of the template is missing, and whether the text is long.
pub(crate) fn findings(content: &str) -> Vec<Finding> {
    let headings = headings(content);
    let has = |words: &[&str]| headings.iter().any(|heading| words.iter().any(|word| heading.contains(word)));
    let missing: Vec<&str> = PARTS.iter().filter(|(_, words)| !has(words)).map(|(part, _)| *part).collect();
    let mut findings = Vec::new();
    if !missing.is_empty() {
        findings.push(Finding::note("template", None, format!("no heading announces: {}", missing.join(", "))));
    }
    let tokens = content.len().div_ceil(4);
    if tokens > LONG_TOKENS {
        findings.push(Finding::note(
            "size",
            None,
            format!("about {tokens} tokens: better several standards, one for each topic"),
        ));
    }
    findings
}

/// Headings in lower case; those in blocks of code are none.
fn headings(content: &str) -> Vec<String> {
    let mut in_code = false;
    let mut headings = Vec::new();
    for (_, line) in numbered(content) {
        let line = line.trim_start();
        if line.starts_with("```") || line.starts_with("~~~") {
            in_code = !in_code;
        } else if line.starts_with('#') && !in_code {
            headings.push(line.trim_start_matches('#').trim().to_lowercase());
        }
    }
    headings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let text = "# Errors\n\n## Context\n\n## The pattern\n\n```sh\n# Example\n```\n\n## Examples\n";
        let found = findings(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].message, "no heading announces: anti-patterns");
        assert!(findings(&format!("{text}## What to avoid\n")).is_empty());
        assert!(findings(&"word ".repeat(2_000)).iter().any(|finding| finding.kind == "size"));
    }
}
