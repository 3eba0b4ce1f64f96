//! `fs.write`: a whole file at once.

use masque_types::tool::{EffectClass, ToolOutput};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{Builtin, Call, Run, schema_of};
use crate::{
    failure::{Outcome, arguments},
    workspace::Replaced,
};

pub(super) const TOOL: Builtin = Builtin {
    name: "fs.write",
    description: "Writes a text file of the workspace whole: makes it, or replaces its content. Missing directories \
                  are made. Other programs see the old or the new content, never a mixture. To change a part of a \
                  file use fs.edit, which needs less text and notices when the file is not what you expect.",
    // The same content written again gives the same file.
    effect: EffectClass::Keyed,
    schema: schema_of::<Arguments>,
    run: Run::Blocking(run),
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The file, relative to the workspace.
    path: String,
    /// The whole new content.
    content: String,
}

fn run(call: &Call, value: Value) -> Outcome {
    let asked: Arguments = arguments(value)?;
    let relative = call.workspace.relative(&asked.path)?;
    let verb = match call.workspace.replace(&relative, asked.content.as_bytes())? {
        Replaced::Created => "created",
        Replaced::Replaced => "replaced",
    };
    let lines = asked.content.lines().count();
    Ok(ToolOutput::text(format!("{verb} {}: {lines} lines, {} bytes", relative.display(), asked.content.len())))
}
