//! `human.ask`: what it declares. The engine answers it by a durable question; nothing runs here.

use masque_types::tool::{EffectClass, Place, ToolSpec};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::builtin::schema_of;

/// Canonical name.
pub const NAME: &str = "human.ask";

/// A question to the human who watches the run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arguments {
    /// The question, with all that is needed to answer it.
    pub question: String,
    /// Answers to choose from; the human may write another one.
    #[serde(default)]
    pub choices: Vec<String>,
}

/// What the tool declares.
#[must_use]
pub fn spec() -> ToolSpec {
    ToolSpec {
        name: NAME.to_owned(),
        description: "Asks the human who started the run and waits for the answer, which can take hours. Use it for a \
                      decision that only a person can make, or when something needed is missing; not for what the \
                      task or the files already say. Offer `choices` where there are a few."
            .to_owned(),
        input_schema: schema_of::<Arguments>(),
        output_schema: None,
        // Asking the same question again is the same question: it waits as a row of the store.
        effect: EffectClass::Keyed,
        place: Place::Human,
        depends_on: Vec::new(),
    }
}
