//! JSON Schemas, compiled once per run.

use std::collections::HashMap;

use jsonschema::Validator;
use serde_json::Value;

/// At most so many findings are told to the model.
const FINDINGS: usize = 5;

/// Compiled schemas by name. A schema that does not compile accepts everything: its tool or persona was already
/// reported when it was loaded.
#[derive(Default)]
pub(crate) struct Schemas(HashMap<String, Option<Validator>>);

impl Schemas {
    /// What is wrong with a value, each finding with its place; empty when nothing is.
    pub(crate) fn findings(&mut self, name: &str, schema: &Value, value: &Value) -> Vec<String> {
        if !self.0.contains_key(name) {
            self.0.insert(name.to_owned(), jsonschema::validator_for(schema).ok());
        }
        let Some(Some(validator)) = self.0.get(name) else { return Vec::new() };
        if validator.is_valid(value) {
            return Vec::new();
        }
        let describe = |error: jsonschema::ValidationError<'_>| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "the value".to_owned() } else { format!("`{place}`") };
            format!("{place}: {error}")
        };
        validator.iter_errors(value).take(FINDINGS).map(describe).collect()
    }
}
