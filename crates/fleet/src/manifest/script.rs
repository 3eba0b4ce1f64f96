//! Finding the scripts that manifests name: the same file by each of the names that are in use for it.

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
};

/// Directories in which scripts are looked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Roots(pub(super) Vec<PathBuf>);

impl Roots {
    /// The roots where a manifest names none: its directory, and the directories in it that hold one of the scripts.
    pub(super) fn guess<'a>(directory: &Path, scripts: impl Iterator<Item = &'a str> + Clone) -> Self {
        let entries = fs_err::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
        let inside: BTreeSet<PathBuf> =
            entries.map(|entry| entry.path()).filter(|path| path.is_dir() && !is_hidden(path)).collect();
        let holds = |root: &PathBuf| scripts.clone().any(|script| root.join(script).is_file());
        Self(std::iter::once(directory.to_owned()).chain(inside.into_iter().filter(holds)).collect())
    }

    /// The file of a script. A name that begins with the name of a root means what is in that root:
    /// `main_pc_code/FORMAINPC/x.py` in the root `main_pc_code` is `FORMAINPC/x.py` there.
    pub(super) fn find(&self, script: &str) -> Option<PathBuf> {
        let script = Path::new(script);
        let plain = self.0.iter().map(|root| root.join(script));
        let within = self.0.iter().filter_map(|root| Some(root.join(script.strip_prefix(root.file_name()?).ok()?)));
        plain.chain(within).map(|path| clean(&path)).find(|path| path.is_file())
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'))
}

/// The path without `.` and `..`, as it is written: links are not followed, so that the names of roots stay.
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}
