//! What all tools share: a definition from two types, reading arguments, writing results.

use std::sync::Arc;

use masque_types::tool::drop_integer_formats;
use rmcp::{
    handler::server::tool::{schema_for_input, schema_for_output},
    model::{CallToolResponse, CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations},
};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// What a call of a tool does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    /// It looks.
    Read,
    /// It adds.
    Add,
    /// It starts a persona, which can reach what its file grants.
    Start,
    /// It ends something, which can be done again without further effect.
    End,
    /// It deletes.
    Delete,
}

impl Does {
    fn annotations(self, title: &str) -> ToolAnnotations {
        let said = ToolAnnotations::with_title(title).read_only(self == Self::Read).open_world(self == Self::Start);
        match self {
            Self::Read => said.destructive(false).idempotent(true),
            Self::Add | Self::Start => said.destructive(false).idempotent(false),
            Self::End => said.destructive(false).idempotent(true),
            Self::Delete => said.destructive(true).idempotent(true),
        }
    }
}

/// Defines a tool whose arguments and result have these types.
pub(crate) fn define<A: JsonSchema + 'static, R: JsonSchema + 'static>(
    name: impl Into<String>,
    title: &str,
    description: impl Into<String>,
    does: Does,
) -> Tool {
    let input = plain(&schema_for_input::<A>().unwrap_or_default());
    Tool::new(name.into(), description.into(), input)
        .with_title(title)
        .with_raw_output_schema(Arc::new(plain(&schema_for_output::<R>())))
        .with_annotations(does.annotations(title))
}

/// A schema without what clients complain of.
fn plain(schema: &JsonObject) -> JsonObject {
    let mut schema = Value::Object(schema.clone());
    drop_integer_formats(&mut schema);
    match schema {
        Value::Object(schema) => schema,
        _ => JsonObject::new(),
    }
}

/// Reads arguments. What is wrong is told to the model, with the name of the field, so that it can do better.
pub(crate) fn arguments<A: DeserializeOwned>(given: Option<JsonObject>) -> Result<A, CallToolResult> {
    let value = serde_json::Value::Object(given.unwrap_or_default());
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let what = error.into_inner();
        match path.as_str() {
            "." => refused(format!("wrong arguments: {what}")),
            field => refused(format!("wrong argument `{field}`: {what}")),
        }
    })
}

/// A result that failed, for the model to read.
pub(crate) fn refused(text: impl Into<String>) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}

/// A result as a value; its text is the same value, for clients that know text only.
pub(crate) fn told<R: Serialize>(result: &R) -> CallToolResult {
    match serde_json::to_value(result) {
        Ok(value) => CallToolResult::structured(value),
        Err(error) => refused(format!("the result cannot be written: {error}")),
    }
}

/// Whatever was found out by now is the answer, right or wrong.
pub(crate) fn settled(result: Result<CallToolResponse, CallToolResult>) -> CallToolResponse {
    result.unwrap_or_else(CallToolResponse::Complete)
}
