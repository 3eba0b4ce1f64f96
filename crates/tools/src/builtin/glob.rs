//! `fs.glob`: files by name.

use masque_types::tool::EffectClass;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Builtin, Call, Run, schema_of,
    walk::{self, Ignored},
};
use crate::failure::{Outcome, arguments};

const MOST_FILES: usize = 1_000;

pub(super) const TOOL: Builtin = Builtin {
    name: "fs.glob",
    description: "Finds files of the workspace by a pattern over their path: `*.rs` anywhere, `src/**/*.rs` below \
                  src, `{a,b}` either. Gives one path per line, sorted, relative to the workspace, at most 1000. \
                  What .gitignore names and `.git` itself are left out. Use fs.search to find text in files.",
    effect: EffectClass::Pure,
    schema: schema_of::<Arguments>,
    run: Run::Blocking(run),
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The pattern. Without `/` it holds for the file's name in any directory.
    pattern: String,
    /// The directory to look in, relative to the workspace; all of it when absent.
    #[serde(default)]
    path: Option<String>,
    /// Whether to find files that .gitignore names too.
    #[serde(default)]
    include_ignored: Option<bool>,
}

fn run(call: &Call, value: Value) -> Outcome {
    let asked: Arguments = arguments(value)?;
    let start = call.workspace.relative(asked.path.as_deref().unwrap_or("."))?;
    let glob = walk::path_matcher(&asked.pattern)?;
    let mut found = Vec::new();
    for entry in walk::builder(call, &start, Ignored::from(asked.include_ignored))?.build().flatten() {
        call.stop.check()?;
        let path = walk::relative(&call.workspace, &entry);
        let below = path.strip_prefix(&start).unwrap_or(path);
        let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
        if is_directory || !(glob.is_match(below) || glob.is_match(path)) {
            continue;
        }
        if found.len() == MOST_FILES {
            return Ok(walk::listing(&found, true, ""));
        }
        found.push(walk::display(path));
    }
    Ok(walk::listing(&found, false, "[no file matches; try a wider pattern or include_ignored]"))
}
