//! Standards of a project: Markdown files that a persona proposed and a person approved.
//!
//! Owns: their names, the format of their files, the directory that they stand in, and what is looked for in a text
//! before a person decides: secrets, words that address a model, duplicates, contradictions, the template. Leaves out
//! proposals as rows, who may decide, and the index.

mod directory;
mod draft;
mod file;
mod finding;
mod injection;
mod key;
mod related;
mod rules;
pub mod secrets;
mod template;

pub use directory::{Directory, FoundFile, Listing, Replaced};
pub use draft::{Draft, LONGEST_CONTENT, MOST_TAGS, diff, digest};
pub use file::{StandardFile, read, write};
pub use finding::{Finding, Severity};
pub use key::{KeyError, citation, key, key_of_file, parse};
pub use related::{Existing, findings as related};

/// Everything that a person should look at in a text, most serious first: words that address a model, what the other
/// standards of the project already say or contradict, parts of the template that are missing, size. Secrets are not
/// among them: see [`secrets::scan`].
#[must_use]
pub fn review(
    own: &masque_types::standard::StandardKey,
    title: &str,
    content: &str,
    others: &[Existing<'_>],
) -> Vec<Finding> {
    let mut findings = injection::findings(content);
    findings.extend(injection::of_title(title));
    findings.extend(related(own, title, content, others));
    findings.extend(template::findings(content));
    findings.sort_by(|one, two| two.severity.cmp(&one.severity).then(one.line.cmp(&two.line)));
    findings
}
