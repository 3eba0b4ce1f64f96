//! The seam to tools: what a tool declares, what it returns, and the trait [`Toolbox`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    BoxFuture,
    digest::Digest,
    id::RunId,
    message::{Part, ToolCall},
};

/// The tool that finds others by what they do. Where it is among the tools of a run, the model sees the schemas of most
/// others only after it asked for them.
pub const TOOL_SEARCH: &str = "tool.search";
/// The tool that gives the schemas of others, which the model has from then on.
pub const TOOL_DESCRIBE: &str = "tool.describe";

/// What happens to a call that was announced but not confirmed when the process died.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EffectClass {
    /// Reads only: run again freely, also in parallel with other pure calls.
    Pure,
    /// Repeating it with the same idempotency key (or the same arguments) changes nothing more: retried.
    Keyed,
    /// The world can be asked whether it happened: asked, then decided.
    Probe,
    /// None of these: becomes `in_doubt` and is put to a human. What a tool is that declares nothing.
    #[default]
    Once,
}

impl EffectClass {
    /// The name used in files and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pure => "pure",
            Self::Keyed => "keyed",
            Self::Probe => "probe",
            Self::Once => "once",
        }
    }
}

/// Where a tool executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Inside Masque: trusted code that needs credentials or the store.
    Host,
    /// Inside the persona's sandbox, behind MCP on stdio.
    Sandbox,
    /// An MCP server reached over HTTP.
    Remote,
    /// A person answers: the run waits durably.
    Human,
    /// Another persona answers, in a run of its own: the run waits durably.
    Run,
}

impl Place {
    /// The name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Sandbox => "sandbox",
            Self::Remote => "remote",
            Self::Human => "human",
            Self::Run => "run",
        }
    }
}

/// What a tool declares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// Canonical name: `fs.read`, `mcp:hdf5/list`.
    pub name: String,
    /// For the model: what it does and when to use it.
    pub description: String,
    /// JSON Schema of the arguments: an object schema.
    pub input_schema: Value,
    /// JSON Schema of the structured result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// What a crash in the middle means.
    pub effect: EffectClass,
    /// Where it executes.
    pub place: Place,
    /// Tools that usually come before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
}

impl ToolSpec {
    /// The digest of everything that a model or a human relied on: a changed tool has another one.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let schema = crate::digest::canonical_json(&self.input_schema);
        Digest::of_parts([
            self.name.as_bytes(),
            self.description.as_bytes(),
            schema.as_bytes(),
            self.effect.name().as_bytes(),
        ])
    }
}

/// A call that is to be performed now.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The run.
    pub run: RunId,
    /// The call, as approved.
    pub call: ToolCall,
    /// The same on every try of this call, different for every other call.
    pub idempotency_key: String,
    /// Which try this is, from 1.
    pub attempt: u32,
}

/// What a tool returned. A failure of the tool is a result with `is_error`, not an `Err`: it is data for the model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ToolOutput {
    /// The content, of any size; the engine stores it whole and shows the model a bounded part.
    pub content: Vec<Part>,
    /// Whether the tool failed.
    pub is_error: bool,
}

impl ToolOutput {
    /// A successful text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { content: vec![Part::text(text)], is_error: false }
    }

    /// A failure, told to the model: what was wrong and what to do instead.
    pub fn error(text: impl Into<String>) -> Self {
        Self { content: vec![Part::text(text)], is_error: true }
    }
}

/// The answer to "did this call happen?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeAnswer {
    /// It did; this is its result.
    Happened(ToolOutput),
    /// It did not: it may be done now.
    DidNotHappen,
    /// The world cannot tell: put it to a human.
    Unknown,
}

/// The tools of one run, behind one door.
///
/// Implementers bound each call in time, answer a call to an unknown or filtered tool with an error output, and stop
/// the work of a call whose future is dropped.
pub trait Toolbox: Send + Sync {
    /// All tools, in a fixed order. Tools that the persona may not use are not among them.
    fn specs(&self) -> Arc<[ToolSpec]>;

    /// Performs a call.
    fn call<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ToolOutput>;

    /// Asks whether an interrupted call of class [`EffectClass::Probe`] happened.
    fn probe<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ProbeAnswer>;
}

/// `uint32` and the like are no formats of JSON Schema; some providers refuse a schema that has
/// them, and clients complain of each.
pub fn drop_integer_formats(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("format").and_then(Value::as_str).is_some_and(|format| format.contains("int")) {
                object.remove("format");
            }
            object.values_mut().for_each(drop_integer_formats);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_integer_formats),
        _ => {}
    }
}
