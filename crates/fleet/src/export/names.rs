//! [`Names`]: names that every tool takes, made from any names.

use std::collections::BTreeSet;

/// The most characters of a name: Kubernetes takes 63, and room is left for endings.
const MOST: usize = 48;

/// Names that were given out, so that no two are the same.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// A name of letters, digits and `-` that is like the given one and was not given out before.
    pub(super) fn unique(&mut self, like: &str) -> String {
        let base = slug(like);
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let free = |name: &String| !self.0.contains(name);
        let name = std::iter::once(base.clone()).chain(numbered).find(free).unwrap_or(base);
        self.0.insert(name.clone());
        name
    }
}

/// Small letters, digits and single `-` within: a name of the domain name system. `MemoryHub` becomes `memoryhub`.
pub(super) fn slug(text: &str) -> String {
    let mut name = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() {
            name.push(letter.to_ascii_lowercase());
        } else if !name.ends_with('-') && !name.is_empty() {
            name.push('-');
        }
        if name.len() >= MOST {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    match name.chars().next() {
        None => "unnamed".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("x{name}"),
        Some(_) => name.to_owned(),
    }
}
