//! What is synced into which namespace. Leaves out the walk.

use std::path::PathBuf;

use globset::{Glob, GlobSet, GlobSetBuilder};
use masque_types::memory::{DocumentKind, Namespace, Origin};

use crate::Error;

/// A directory, the files in it that belong to the sync, and what they become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncSpec {
    /// The directory. Symbolic links in it are not followed.
    pub root: PathBuf,
    /// What the source of a document begins with, before the path from the root on: `.masque/standards/`. All documents
    /// of a prefix belong to one sync.
    pub prefix: String,
    /// Patterns of the files that belong to it, from the root on: `**/*.md`. All when there are none.
    pub include: Vec<String>,
    /// Patterns of files and directories that do not, from the root on, or of names at any depth: `target`.
    pub exclude: Vec<String>,
    /// Whether hidden files and those that `.gitignore` and `.ignore` list are left out.
    pub obey_ignore_files: bool,
    /// Who may read the documents.
    pub namespace: Namespace,
    /// What they are.
    pub kind: DocumentKind,
    /// Whether they may be taken at their word.
    pub origin: Origin,
}

/// The patterns, ready to match.
#[derive(Debug, Clone)]
pub(super) struct Patterns {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Patterns {
    pub(super) fn of(spec: &SyncSpec) -> Result<Self, Error> {
        let include = if spec.include.is_empty() { None } else { Some(set(&spec.include)?) };
        let exclude: Vec<String> = spec.exclude.iter().map(|pattern| at_any_depth(pattern)).collect();
        Ok(Self { include, exclude: set(&exclude)? })
    }

    /// Whether a file belongs to the sync, by its path from the root on.
    pub(super) fn includes(&self, path: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(path))
    }

    /// Whether a file or directory does not, with all that is in it.
    pub(super) fn excludes(&self, path: &str) -> bool {
        self.exclude.is_match(path)
    }
}

fn at_any_depth(pattern: &str) -> String {
    if pattern.contains('/') { pattern.trim_start_matches('/').to_owned() } else { format!("**/{pattern}") }
}

fn set(patterns: &[String]) -> Result<GlobSet, Error> {
    let mut set = GlobSetBuilder::new();
    let wrong = |error: &globset::Error| Error::Pattern { reason: error.to_string() };
    for pattern in patterns {
        set.add(Glob::new(pattern).map_err(|error| wrong(&error))?);
    }
    set.build().map_err(|error| wrong(&error))
}
