//! Walking the workspace: `.gitignore` aware, sorted, without hidden paths, never through symbolic links.

use std::{path::Path, sync::Arc};

use globset::{GlobBuilder, GlobMatcher};
use ignore::{DirEntry, WalkBuilder};
use masque_types::tool::ToolOutput;

use super::Call;
use crate::{
    failure::{Failure, Outcome},
    workspace::{Workspace, shown},
};

/// Whether files that `.gitignore` names take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ignored {
    /// They are left out.
    Skip,
    /// They take part.
    Include,
}

impl From<Option<bool>> for Ignored {
    fn from(include: Option<bool>) -> Self {
        if include.unwrap_or(false) { Self::Include } else { Self::Skip }
    }
}

/// A walker below a directory or file, given relative to the workspace. What cannot be read is skipped.
///
/// # Errors
/// When the start is not inside the workspace.
pub(super) fn builder(call: &Call, start: &Path, ignored: Ignored) -> Outcome<WalkBuilder> {
    let start = if call.workspace.kind(start)?.is_dir() {
        call.workspace.directory(start)?
    } else {
        call.workspace.open_file(start)?;
        call.workspace.root().join(start)
    };
    let mut builder = WalkBuilder::new(start);
    let respect = ignored == Ignored::Skip;
    builder
        .hidden(false)
        .parents(false)
        .ignore(respect)
        .git_ignore(respect)
        .git_exclude(respect)
        .git_global(false)
        .require_git(false)
        .follow_links(false)
        .sort_by_file_name(std::ffi::OsStr::cmp);
    if respect {
        add_parents(&mut builder, &call.workspace);
    }
    let workspace = Arc::clone(&call.workspace);
    let stop = call.stop.clone();
    builder.filter_entry(move |entry| {
        let path = relative(&workspace, entry);
        !stop.is_set() && entry.file_name() != ".git" && !workspace.is_hidden(path) && !workspace.is_placeholder(path)
    });
    Ok(builder)
}

/// The ignore file of the workspace holds for a walk that starts further down; those above the workspace do not.
fn add_parents(builder: &mut WalkBuilder, workspace: &Workspace) {
    // A pattern that cannot be read ignores nothing.
    let _ = builder.add_ignore(workspace.root().join(".gitignore"));
}

/// The matcher of a pattern over paths. Without `/` it holds for the name of a file in any directory; `*` stops at `/`.
///
/// # Errors
/// When the pattern is not valid.
pub(super) fn path_matcher(pattern: &str) -> Outcome<GlobMatcher> {
    let relative = pattern.trim_start_matches("./");
    let anchored = if relative.contains('/') { relative.to_owned() } else { format!("**/{relative}") };
    let glob = GlobBuilder::new(&anchored).literal_separator(true).build();
    let wrong = |error: globset::Error| Failure::new(format!("the pattern `{pattern}` is not valid: {}", error.kind()));
    Ok(glob.map_err(wrong)?.compile_matcher())
}

/// An entry's path from the workspace on.
pub(super) fn relative<'e>(workspace: &Workspace, entry: &'e DirEntry) -> &'e Path {
    entry.path().strip_prefix(workspace.root()).unwrap_or_else(|_| entry.path())
}

/// A path for output.
pub(super) fn display(path: &Path) -> String {
    shown(path.as_os_str())
}

/// Lines with a closing remark when there are more than shown.
pub(super) fn listing(lines: &[String], more: bool, empty: &str) -> ToolOutput {
    if lines.is_empty() {
        return ToolOutput::text(empty);
    }
    let mut text = lines.join("\n");
    if more {
        text.push_str(&format!("\n[only the first {} are shown: narrow the path or the pattern]", lines.len()));
    }
    ToolOutput::text(text)
}
