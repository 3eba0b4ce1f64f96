//! The tools that work in the sandbox, one file each, and the list of them.
//!
//! Leaves out the protocol that they are called by, which is the tool server's.

mod edit;
mod glob;
mod list;
mod processes;
mod read;
mod search;
mod shell;
mod walk;
mod write;

use std::sync::Arc;

use masque_types::{
    BoxFuture,
    tool::{EffectClass, Place, ProbeAnswer, ToolSpec, drop_integer_formats},
};
use schemars::JsonSchema;
use serde_json::Value;

pub(crate) use processes::Processes;
pub(crate) use shell::LONGEST_TIMEOUT;

use crate::{failure::Outcome, stop::Stop, workspace::Workspace};

/// All of them, sorted by name.
pub(crate) const ALL: [Builtin; 7] =
    [edit::TOOL, glob::TOOL, list::TOOL, read::TOOL, search::TOOL, write::TOOL, shell::TOOL];

/// One tool.
pub(crate) struct Builtin {
    /// Canonical name.
    pub(crate) name: &'static str,
    /// For the model.
    pub(crate) description: &'static str,
    /// What a crash in the middle means.
    pub(crate) effect: EffectClass,
    /// The schema of its arguments.
    pub(crate) schema: fn() -> Value,
    /// What it does.
    pub(crate) run: Run,
}

/// How a tool is run.
pub(crate) enum Run {
    /// File work, on a thread that may block.
    Blocking(fn(&Call, Value) -> Outcome),
    /// The same, and it can tell later whether a call happened.
    Probed(fn(&Call, Value) -> Outcome, fn(&Call, Value) -> Outcome<ProbeAnswer>),
    /// Work that waits.
    Waiting(fn(Call, Value) -> BoxFuture<'static, Outcome>),
}

/// What a tool has at hand during one call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Where it works.
    pub(crate) workspace: Arc<Workspace>,
    /// The programs that were started.
    pub(crate) processes: Arc<Processes>,
    /// Whether anyone still waits.
    pub(crate) stop: Stop,
}

impl Builtin {
    /// What the tool declares.
    pub(crate) fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.name.to_owned(),
            description: self.description.to_owned(),
            input_schema: (self.schema)(),
            output_schema: None,
            effect: self.effect,
            place: Place::Sandbox,
            depends_on: Vec::new(),
        }
    }
}

/// The built-in tool of a name.
pub(crate) fn find(name: &str) -> Option<&'static Builtin> {
    static TOOLS: [Builtin; 7] = ALL;
    TOOLS.iter().find(|tool| tool.name == name)
}

/// The schema of an argument type, without what providers reject or models do not need.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    let mut schema = schemars::schema_for!(T).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.remove("$schema");
        object.remove("title");
        object.remove("description");
    }
    drop_integer_formats(&mut schema);
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_a_strict_object_schema_and_a_description_for_models() {
        assert!(ALL.iter().map(|tool| tool.name).is_sorted());
        for spec in crate::builtin_specs() {
            assert_eq!(spec.input_schema["type"], "object", "{}", spec.name);
            assert_eq!(spec.input_schema["additionalProperties"], false, "{}", spec.name);
            assert!(!spec.input_schema.to_string().contains("uint"), "{}", spec.input_schema);
            assert!((60..1_200).contains(&spec.description.len()), "{}", spec.name);
            for (name, property) in spec.input_schema["properties"].as_object().into_iter().flatten() {
                assert!(property["description"].is_string(), "{} {name}", spec.name);
            }
            assert!(jsonschema::validator_for(&spec.input_schema).is_ok(), "{}", spec.name);
        }
    }
}
