//! `result.read`: reads on in a result that was too large to be shown whole. Leaves out where results are stored.

use std::sync::Arc;

use masque_types::{
    BoxFuture,
    digest::Digest,
    id::RunId,
    tool::{EffectClass, Invocation, Place, ToolOutput, ToolSpec},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::HostTool;
use crate::{
    builtin::schema_of,
    failure::{Failure, Outcome, arguments, into_output},
    lines::{self, Numbering, Wanted},
    stop::Stop,
};

/// Canonical name.
pub const NAME: &str = "result.read";

/// Where whole results are found.
///
/// Implementers give only results that the run itself has: a digest is no secret.
pub trait ResultReader: Send + Sync {
    /// The text of a stored result of this run; `None` when the run has no such result.
    fn read(&self, run: RunId, digest: Digest) -> BoxFuture<'_, Result<Option<Vec<u8>>, String>>;
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The reference that stands at the end of the part that was shown: 64 hexadecimal digits.
    digest: String,
    /// The first line to return, from 1.
    #[serde(default)]
    offset_line: Option<u64>,
    /// How many lines to return; 2000 when absent.
    #[serde(default)]
    lines: Option<u64>,
}

/// What the tool declares.
#[must_use]
pub fn spec() -> ToolSpec {
    ToolSpec {
        name: NAME.to_owned(),
        description:
            "Reads on in a tool result of this run that was too large to be shown whole. Give the digest that \
                      stands in the shortened result and the lines that you need; the answer says how many there are."
                .to_owned(),
        input_schema: schema_of::<Arguments>(),
        output_schema: None,
        effect: EffectClass::Pure,
        place: Place::Host,
        depends_on: Vec::new(),
    }
}

/// The tool over a store.
pub struct ResultRead {
    reader: Arc<dyn ResultReader>,
}

impl ResultRead {
    /// The tool over this store.
    #[must_use]
    pub fn new(reader: Arc<dyn ResultReader>) -> Self {
        Self { reader }
    }

    async fn read(&self, invocation: &Invocation) -> Outcome {
        let asked: Arguments = arguments(invocation.call.arguments.clone())?;
        let digest: Digest = asked.digest.trim().parse().map_err(|error| {
            Failure::new(format!("`digest`: {error}; copy it from the end of the shortened result"))
        })?;
        let bytes = self.reader.read(invocation.run, digest).await;
        let bytes = bytes.map_err(|error| Failure::new(format!("the result could not be read: {error}")))?.ok_or_else(
            || Failure::new("this run has no result with that digest; copy it from the shortened result"),
        )?;
        let first = asked.offset_line.unwrap_or(1).max(1);
        let count = asked.lines.unwrap_or(lines::DEFAULT_LINES).max(1);
        let wanted = Wanted { first, count, numbered: Numbering::Plain };
        let window = lines::window(&mut bytes.as_slice(), wanted, &Stop::default())?;
        Ok(ToolOutput::text(window.with_remark(first)))
    }
}

impl HostTool for ResultRead {
    fn spec(&self) -> ToolSpec {
        spec()
    }

    fn call<'a>(&'a self, invocation: &'a Invocation) -> BoxFuture<'a, ToolOutput> {
        Box::pin(async move { into_output(self.read(invocation).await) })
    }
}
