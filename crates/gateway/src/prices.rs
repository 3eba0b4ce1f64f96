//! The price table: what models cost and how many tokens fit into them.
//!
//! Owns the built-in table and the format of a user's own. Leaves out the arithmetic: that is `types::cost`.

use std::path::Path;

use masque_types::{
    cost::{MicroUsd, Price},
    model::{ModelFacts, ModelRef},
};
use serde::Deserialize;

use crate::error::Error;

const BUILT_IN: &str = include_str!("prices.yaml");

/// Facts of models by pattern; the first pattern that matches counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PriceTable {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// `provider/model`, where `*` stands for any text.
    model: String,
    /// Absent when only the size is known; then `output` is absent too.
    input: Option<MicroUsd>,
    output: Option<MicroUsd>,
    cache_read: Option<MicroUsd>,
    cache_write: Option<MicroUsd>,
    context_tokens: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    models: Vec<Entry>,
}

impl PriceTable {
    /// The table that comes with this build.
    ///
    /// # Errors
    /// When the table in the build is damaged.
    pub fn built_in() -> Result<Self, Error> {
        Self::from_yaml(BUILT_IN, "built-in price table")
    }

    /// Reads a table; `name` stands for it in errors.
    ///
    /// # Errors
    /// When the YAML is broken, a field is unknown, or an entry has a price for only one of input and output.
    pub fn from_yaml(text: &str, name: &str) -> Result<Self, Error> {
        let file: File = serde_saphyr::from_str(text).map_err(|error| Error::yaml(name, &error))?;
        for (place, entry) in file.models.iter().enumerate() {
            entry.check().map_err(|problem| Error::Field {
                file: name.to_owned(),
                field: format!("models, entry {} ({})", place + 1, entry.model),
                problem,
            })?;
        }
        Ok(Self { entries: file.models })
    }

    /// Reads a table from a file.
    ///
    /// # Errors
    /// As [`from_yaml`](Self::from_yaml), and when the file cannot be read.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        Self::from_yaml(&fs_err::read_to_string(path)?, &path.display().to_string())
    }

    /// This table with another one in front of it: what `first` has, counts.
    #[must_use]
    pub fn overridden_by(self, mut first: Self) -> Self {
        first.entries.extend(self.entries);
        first
    }

    /// What is known of a model; nothing when no pattern matches.
    #[must_use]
    pub fn facts(&self, model: &ModelRef) -> ModelFacts {
        self.entries
            .iter()
            .find(|entry| matches(&entry.model, &model.provider, &model.model))
            .map_or_else(ModelFacts::default, Entry::facts)
    }
}

impl Entry {
    fn check(&self) -> Result<(), String> {
        if !self.model.contains('/') {
            return Err("`model` must be `provider/model`, where `*` stands for any text".to_owned());
        }
        if self.input.is_some() != self.output.is_some() {
            return Err("`input` and `output` belong together: write both, or neither for an unknown price".to_owned());
        }
        if self.input.is_none() && (self.cache_read.is_some() || self.cache_write.is_some()) {
            return Err("a cache price needs `input` and `output` beside it".to_owned());
        }
        Ok(())
    }

    fn facts(&self) -> ModelFacts {
        let price = self.input.zip(self.output).map(|(input, output)| Price {
            input,
            output,
            cache_read: self.cache_read,
            cache_write: self.cache_write,
        });
        ModelFacts { price, context_tokens: self.context_tokens }
    }
}

fn matches(pattern: &str, provider: &str, model: &str) -> bool {
    match pattern.split_once('/') {
        Some((provider_pattern, model_pattern)) => {
            wildcard(provider_pattern, provider) && wildcard(model_pattern, model)
        }
        None => false,
    }
}

/// Whether a text matches a pattern in which `*` stands for any text, also none.
fn wildcard(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(head) else { return false };
    let mut pieces: Vec<&str> = tail.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use masque_types::cost::Usage;

    use super::*;

    fn model(text: &str) -> ModelRef {
        text.parse().unwrap()
    }

    #[test]
    fn wildcards_match_like_a_shell() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("ab*ba", "aba", false),
            ("abc", "abcd", false),
        ] {
            assert_eq!(wildcard(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn the_built_in_table_knows_current_models_and_a_users_table_comes_first() {
        let table = PriceTable::built_in().unwrap();
        let facts = table.facts(&model("anthropic/claude-sonnet-4-5-20250929"));
        let usage =
            Usage { input_tokens: 10_000, output_tokens: 1_000, cache_read_tokens: 8_000, cache_write_tokens: 1_000 };
        let expected = MicroUsd(1_000 * 3 + 8_000 * 3 / 10 + 1_000 * 15 / 4 + 1_000 * 15);
        assert_eq!(facts.price.unwrap().cost(&usage), expected);
        assert_eq!(facts.context_tokens, Some(200_000));
        assert_eq!(table.facts(&model("nobody/knows")), ModelFacts::default());

        let own = PriceTable::from_yaml("models:\n  - {model: 'anthropic/*', input: 1, output: 2}\n", "own").unwrap();
        let price = table.overridden_by(own).facts(&model("anthropic/claude-sonnet-4-5")).price.unwrap();
        assert_eq!((price.input, price.output), (MicroUsd(1), MicroUsd(2)));
    }

    #[test]
    fn errors_name_file_line_and_field() {
        let unknown = PriceTable::from_yaml("models:\n  - model: a/b\n    prize: 3\n", "own.yaml").unwrap_err();
        assert!(unknown.to_string().starts_with("own.yaml:3: "), "{unknown}");
        assert!(unknown.to_string().contains("prize"), "{unknown}");
        let half = PriceTable::from_yaml("models:\n  - {model: a/b, input: 3}\n", "own.yaml").unwrap_err();
        assert!(half.to_string().contains("entry 1 (a/b)"), "{half}");
    }
}
