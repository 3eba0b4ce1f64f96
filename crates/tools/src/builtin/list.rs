//! `fs.list`: a directory as a tree.

use std::path::Path;

use ignore::DirEntry;
use masque_types::tool::EffectClass;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Builtin, Call, Run, schema_of,
    walk::{self, Ignored},
};
use crate::{
    failure::{Outcome, arguments},
    workspace::shown,
};

const MOST_ENTRIES: usize = 1_000;

pub(super) const TOOL: Builtin = Builtin {
    name: "fs.list",
    description: "Lists a directory of the workspace as an indented tree, sorted by name: directories end with `/`, \
                  files show their size in bytes, links their target. What .gitignore names and `.git` itself are \
                  left out. At most 1000 entries. Use fs.glob to find files by name.",
    effect: EffectClass::Pure,
    schema: schema_of::<Arguments>,
    run: Run::Blocking(run),
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arguments {
    /// The directory, relative to the workspace; the workspace itself when absent.
    #[serde(default)]
    path: Option<String>,
    /// How many levels to show; 2 when absent.
    #[serde(default)]
    depth: Option<usize>,
    /// Whether to show files that .gitignore names too.
    #[serde(default)]
    include_ignored: Option<bool>,
}

fn run(call: &Call, value: Value) -> Outcome {
    let asked: Arguments = arguments(value)?;
    let start = call.workspace.relative(asked.path.as_deref().unwrap_or("."))?;
    call.workspace.directory(&start)?;
    let mut builder = walk::builder(call, &start, Ignored::from(asked.include_ignored))?;
    builder.max_depth(Some(asked.depth.unwrap_or(2).max(1)));
    let mut lines = Vec::new();
    for entry in builder.build().flatten().filter(|entry| entry.depth() > 0) {
        call.stop.check()?;
        if lines.len() == MOST_ENTRIES {
            return Ok(walk::listing(&lines, true, ""));
        }
        lines.push(line(&entry));
    }
    Ok(walk::listing(&lines, false, "[empty directory]"))
}

fn line(entry: &DirEntry) -> String {
    let indent = "  ".repeat(entry.depth().saturating_sub(1));
    let name = shown(entry.file_name());
    match entry.file_type() {
        Some(kind) if kind.is_dir() => format!("{indent}{name}/"),
        Some(kind) if kind.is_symlink() => format!("{indent}{name} -> {}", target(entry.path())),
        Some(kind) if kind.is_file() => {
            let size = entry.metadata().map(|metadata| metadata.len()).unwrap_or_default();
            format!("{indent}{name} ({size})")
        }
        _ => format!("{indent}{name} (special file)"),
    }
}

fn target(link: &Path) -> String {
    fs_err::read_link(link).map_or_else(|_| "?".to_owned(), |target| walk::display(&target))
}
