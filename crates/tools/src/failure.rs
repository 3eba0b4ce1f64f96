//! Why a tool could not do what was asked, in words for the model. Leaves out errors of Masque itself.

use std::fmt;

use masque_types::tool::ToolOutput;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What was wrong, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure(String);

/// What a tool returns.
pub(crate) type Outcome<T = ToolOutput> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    pub(crate) fn output(self) -> ToolOutput {
        ToolOutput::error(self.0)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reads a call's arguments. The engine has checked them against the schema; this also holds for other callers.
pub(crate) fn arguments<T: DeserializeOwned>(arguments: Value) -> Outcome<T> {
    let arguments = if arguments.is_null() { Value::Object(serde_json::Map::new()) } else { arguments };
    serde_json::from_value(arguments)
        .map_err(|error| Failure::new(format!("the arguments do not fit the tool's schema: {error}")))
}

/// The output of an outcome: a failure is data for the model.
pub(crate) fn into_output(outcome: Outcome) -> ToolOutput {
    outcome.unwrap_or_else(Failure::output)
}
