//! The files below a root that belong to a sync, as they are now. Leaves out their content.

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use ignore::{DirEntry, WalkBuilder};

use super::{
    scan::LeftOut,
    scope::Scope,
    spec::{Patterns, SyncSpec},
};

/// What changes when a file does. The last two cannot be set by programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) bytes: u64,
    /// Nanoseconds since the Unix epoch.
    pub(super) modified: i128,
    /// When the file or what is known of it changed last, in nanoseconds since the Unix epoch.
    pub(super) changed: i128,
    pub(super) inode: u64,
}

impl Stamp {
    pub(super) fn of(metadata: &std::fs::Metadata) -> Self {
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            bytes: metadata.len(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }
}

/// A file that belongs to the sync.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// From the root on.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) files: Vec<Entry>,
    /// The directories that were walked, from the root on.
    pub(super) directories: Vec<String>,
    /// Directories, from the root on, that could not be read: what is in them is not known.
    pub(super) unknown: Vec<String>,
    pub(super) left_out: Vec<LeftOut>,
}

/// Walks the part of a root that a scope names. A root that is not there is empty. `enter` is called with each directory
/// before its entries are read. Blocks.
pub(super) fn walk(spec: &SyncSpec, patterns: &Patterns, scope: &Arc<Scope>, enter: &dyn Fn(&Path, &str)) -> Walked {
    let mut walked = Walked::default();
    match fs_err::metadata(&spec.root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return walked,
        Err(error) => {
            walked.unknown.push(String::new());
            walked.left_out.push(LeftOut { source: spec.prefix.clone(), reason: error.to_string() });
            return walked;
        }
        Ok(_) => {}
    }
    for entry in builder(spec, patterns, scope).build() {
        match entry {
            Ok(entry) => take(entry, spec, patterns, scope, enter, &mut walked),
            Err(error) => refuse(&error, spec, &mut walked),
        }
    }
    walked
}

fn builder(spec: &SyncSpec, patterns: &Patterns, scope: &Arc<Scope>) -> WalkBuilder {
    let mut builder = WalkBuilder::new(&spec.root);
    builder.standard_filters(spec.obey_ignore_files).require_git(false).follow_links(false).git_global(false);
    let (root, patterns, scope) = (spec.root.clone(), patterns.clone(), Arc::clone(scope));
    builder.filter_entry(move |entry| {
        // What has no name in text is looked at, so that it can be reported.
        let Some(name) = name_below(&root, entry.path()) else { return true };
        name.is_empty() || (entry.file_name() != ".git" && scope.touches(&name) && !patterns.excludes(&name))
    });
    builder
}

fn take(
    entry: DirEntry,
    spec: &SyncSpec,
    patterns: &Patterns,
    scope: &Scope,
    enter: &dyn Fn(&Path, &str),
    walked: &mut Walked,
) {
    let Some(kind) = entry.file_type() else { return };
    let Some(name) = name_below(&spec.root, entry.path()) else {
        let name = entry.path().strip_prefix(&spec.root).unwrap_or(entry.path()).to_string_lossy();
        let reason = "its name is no text; give it another one".to_owned();
        walked.left_out.push(LeftOut { source: format!("{}{name}", spec.prefix), reason });
        return;
    };
    if kind.is_dir() {
        enter(entry.path(), &name);
        walked.directories.push(name);
    } else if scope.contains(&name) && patterns.includes(&name) {
        let source = || format!("{}{name}", spec.prefix);
        if kind.is_symlink() {
            if leads_out(&spec.root, entry.path()) {
                let reason = "it is a symbolic link that leads out of the directory; copy the file".to_owned();
                walked.left_out.push(LeftOut { source: source(), reason });
            }
        } else if kind.is_file() {
            match entry.metadata() {
                Ok(metadata) => {
                    let stamp = Stamp::of(&metadata);
                    walked.files.push(Entry { path: entry.into_path(), stamp, name });
                }
                // It is gone already.
                Err(error) if is_gone(&error) => {}
                Err(error) => walked.left_out.push(LeftOut { source: source(), reason: error.to_string() }),
            }
        }
    }
}

/// Whether a link leads to a file that is not below the root. One within leads to what is synced anyway.
fn leads_out(root: &Path, link: &Path) -> bool {
    match (fs_err::canonicalize(root), fs_err::canonicalize(link)) {
        (Ok(root), Ok(target)) => target.is_file() && !target.starts_with(root),
        _ => false,
    }
}

/// A directory that cannot be read; what ended while it was walked is no fault.
fn refuse(error: &ignore::Error, spec: &SyncSpec, walked: &mut Walked) {
    if is_gone(error) {
        return;
    }
    let name = path_of(error).and_then(|path| name_below(&spec.root, path)).unwrap_or_default();
    walked.left_out.push(LeftOut { source: format!("{}{name}", spec.prefix), reason: error.to_string() });
    walked.unknown.push(name);
}

fn is_gone(error: &ignore::Error) -> bool {
    error.io_error().is_some_and(|error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        _ => None,
    }
}

/// A path from the root on, with `/` between names; none when it is no text.
pub(super) fn name_below(root: &Path, path: &Path) -> Option<String> {
    path.strip_prefix(root).ok()?.to_str().map(str::to_owned)
}
