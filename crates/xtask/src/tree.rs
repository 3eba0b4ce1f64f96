//! The repository's text files.

use std::path::{Path, PathBuf};

/// Directories that are not part of the repository or are made by a build.
const SKIPPED: [&str; 4] = [".git", "target", ".masque", "book"];

/// The text files, by path from the root.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Path from the root with `/` between its parts, and the content.
    pub(crate) files: Vec<(String, String)>,
}

impl Tree {
    /// Reads everything that is UTF-8.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        let mut waiting = vec![root.to_owned()];
        while let Some(directory) = waiting.pop() {
            for entry in fs_err::read_dir(&directory)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() && !SKIPPED.iter().any(|skipped| entry.file_name() == *skipped) {
                    waiting.push(entry.path());
                } else if kind.is_file() {
                    files.extend(text(root, &entry.path()));
                }
            }
        }
        files.sort();
        Ok(Self { files })
    }

    /// The Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.with_ending(".rs")
    }

    /// Files by the end of their name.
    pub(crate) fn with_ending(&self, ending: &'static str) -> impl Iterator<Item = (&str, &str)> {
        let all = self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        all.filter(move |(path, _)| path.ends_with(ending))
    }

    /// Whether a file or directory exists.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files
            .iter()
            .any(|(file, _)| file.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

/// A file that vanishes while it is read, as those of a parallel test do, is not part of the repository.
fn text(root: &Path, path: &Path) -> Option<(String, String)> {
    let relative = path.strip_prefix(root).ok()?.components().collect::<PathBuf>();
    let content = fs_err::read(path).ok()?;
    Some((relative.to_str()?.to_owned(), String::from_utf8(content).ok()?))
}
