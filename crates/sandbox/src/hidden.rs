//! Finds what must be hidden in a workspace.
//!
//! Leaves out the hiding. Links are not followed: a link with a hidden name is covered itself, and so is what it leads
//! to inside the workspace.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::{BUILT_IN_HIDDEN, Error, plan::Cover};

/// How many entries are looked at.
const MAXIMUM_ENTRIES: usize = 2_000_000;
/// How many paths are covered.
const MAXIMUM_HIDDEN: usize = 4_096;
/// Directories of installed packages: published files, among them certificates that programs need. The built-in names
/// are not looked for in them.
const PACKAGES: [&str; 2] = ["node_modules", "site-packages"];

/// Patterns of hidden paths.
#[derive(Debug, Clone)]
pub(crate) struct Patterns {
    built_in: GlobSet,
    given: GlobSet,
}

/// The patterns of a profile, compiled.
type Compiled = (Vec<String>, Arc<Patterns>);

/// The last ones used: compiling takes a part of a millisecond.
static COMPILED: Mutex<VecDeque<Compiled>> = Mutex::new(VecDeque::new());
/// How many of them are kept.
const MAXIMUM_COMPILED: usize = 32;

impl Patterns {
    /// The built-in patterns and those of a profile, from the last ones used if they are among them.
    pub(crate) fn compiled(given: &[String]) -> Result<Arc<Self>, Error> {
        let kept = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, patterns)) = kept().iter().find(|(known, _)| known == given) {
            return Ok(Arc::clone(patterns));
        }
        let patterns = Arc::new(Self::new(given)?);
        let mut kept = kept();
        kept.truncate(MAXIMUM_COMPILED - 1);
        kept.push_front((given.to_vec(), Arc::clone(&patterns)));
        Ok(patterns)
    }

    fn new(given: &[String]) -> Result<Self, Error> {
        Ok(Self {
            built_in: compile(BUILT_IN_HIDDEN.iter().copied())?,
            given: compile(given.iter().map(String::as_str))?,
        })
    }

    fn hides(&self, path: &Path, place: Place) -> bool {
        (place == Place::Own && self.built_in.is_match(path)) || self.given.is_match(path)
    }

    /// Whether a path of a workspace, or a directory that it is in, is hidden.
    fn hides_any(&self, path: &Path) -> bool {
        path.ancestors().filter(|above| !above.as_os_str().is_empty()).any(|above| self.hides(above, Place::Own))
    }

    /// Everything in a workspace that these patterns hide, with its cover.
    pub(crate) fn find(&self, workspace: &Path) -> Result<Vec<(PathBuf, Cover)>, Error> {
        let mut found = Vec::new();
        let mut seen = 0;
        let mut open = vec![(PathBuf::new(), Place::Own)];
        while let Some((directory, place)) = open.pop() {
            for entry in entries(&workspace.join(&directory))? {
                let (name, kind) = entry;
                seen += 1;
                if seen > MAXIMUM_ENTRIES {
                    return Err(too_large(workspace, "entries", MAXIMUM_ENTRIES));
                }
                let path = directory.join(&name);
                if self.hides(&path, place) {
                    hide(workspace, path, kind, &mut found);
                } else if kind.is_dir() {
                    let packages = PACKAGES.iter().any(|package| name == *package);
                    match (packages, self.given.is_empty()) {
                        (false, _) => open.push((path, place)),
                        (true, false) => open.push((path, Place::Packages)),
                        (true, true) => {}
                    }
                }
            }
            if found.len() > MAXIMUM_HIDDEN {
                return Err(too_large(workspace, "hidden paths", MAXIMUM_HIDDEN));
            }
        }
        Ok(found)
    }
}

/// Whether a path of a workspace is hidden from programs in a sandbox: by the built-in names or by these patterns.
///
/// # Errors
/// When a pattern is wrong.
pub fn is_hidden(path: &Path, patterns: &[String]) -> Result<bool, Error> {
    Ok(Patterns::compiled(patterns)?.hides_any(path))
}

/// Whose files a directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Own,
    Packages,
}

fn hide(workspace: &Path, path: PathBuf, kind: std::fs::FileType, found: &mut Vec<(PathBuf, Cover)>) {
    if kind.is_symlink()
        && let Ok(target) = fs_err::canonicalize(workspace.join(&path))
        && let Ok(inside) = target.strip_prefix(workspace)
        && !inside.as_os_str().is_empty()
    {
        let cover = if target.is_dir() { Cover::Directory } else { Cover::File };
        found.push((inside.to_path_buf(), cover));
    }
    found.push((path, if kind.is_dir() { Cover::Directory } else { Cover::File }));
}

/// Names and kinds in a directory. One that cannot be read or has vanished is empty for the sandbox as well, which has
/// no more rights than this process.
fn entries(directory: &Path) -> Result<Vec<(std::ffi::OsString, std::fs::FileType)>, Error> {
    let read = fs_err::read_dir(directory).and_then(|entries| {
        entries.map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?)))).collect()
    });
    match read {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        result => result.map_err(|error: io::Error| Error::Path {
            path: directory.to_path_buf(),
            problem: format!("cannot be searched for hidden names: {error}"),
        }),
    }
}

fn too_large(workspace: &Path, what: &'static str, limit: usize) -> Error {
    Error::TooLarge { workspace: workspace.to_path_buf(), what, limit }
}

fn compile<'a>(patterns: impl Iterator<Item = &'a str>) -> Result<GlobSet, Error> {
    let invalid = |pattern: &str, error: &globset::Error| Error::Pattern {
        pattern: pattern.into(),
        problem: error.kind().to_string(),
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let trimmed = pattern.trim_start_matches("./").trim_end_matches('/');
        let anywhere =
            if trimmed.contains('/') { trimmed.trim_start_matches('/').to_owned() } else { format!("**/{trimmed}") };
        let glob =
            GlobBuilder::new(&anywhere).literal_separator(true).build().map_err(|error| invalid(pattern, &error))?;
        set.add(glob);
    }
    set.build().map_err(|error| invalid("", &error))
}

#[cfg(test)]
mod tests {
    use super::Patterns;
    use crate::plan::Cover;
    use std::path::{Path, PathBuf};

    fn check(given: &[&str], files: &[&str], expect: &[&str]) {
        let workspace = tempfile::tempdir().unwrap();
        for file in files {
            let path = workspace.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "").unwrap();
        }
        let given: Vec<String> = given.iter().map(|pattern| (*pattern).to_owned()).collect();
        let root = fs_err::canonicalize(workspace.path()).unwrap();
        let mut found: Vec<_> = Patterns::new(&given).unwrap().find(&root).unwrap();
        found.sort_by(|left, right| left.0.cmp(&right.0));
        let found: Vec<&Path> = found.iter().map(|(path, _)| path.as_path()).collect();
        assert_eq!(found, expect.iter().map(Path::new).collect::<Vec<_>>());
    }

    #[test]
    fn names_are_hidden_at_any_depth_and_paths_from_the_workspace_on() {
        check(
            &[],
            &["a", ".env", "deep/er/.env.local", "key.pem", ".ssh/config", "envelope"],
            &[".env", ".ssh", "deep/er/.env.local", "key.pem"],
        );
        check(
            &["config/prod.toml", "*.secret", "vault/"],
            &["config/prod.toml", "sub/config/prod.toml", "x/y.secret", "vault/a", "a/vault/b"],
            &["a/vault", "config/prod.toml", "vault", "x/y.secret"],
        );
    }

    #[test]
    fn certificates_of_packages_stay_readable_but_given_patterns_reach_them() {
        let files = ["node_modules/x/cert.pem", "v/site-packages/certifi/cacert.pem", "own.pem"];
        check(&[], &files, &["own.pem"]);
        check(&["cacert.pem"], &files, &["own.pem", "v/site-packages/certifi/cacert.pem"]);
    }

    #[test]
    fn a_hidden_link_is_hidden_with_its_target() {
        let workspace = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(workspace.path()).unwrap();
        fs_err::write(root.join("plain"), "").unwrap();
        fs_err::os::unix::fs::symlink("plain", root.join(".env")).unwrap();
        let found = Patterns::new(&[]).unwrap().find(&root).unwrap();
        assert_eq!(found, [(PathBuf::from("plain"), Cover::File), (PathBuf::from(".env"), Cover::File)]);
    }

    #[test]
    fn a_broken_pattern_is_named() {
        let error = Patterns::new(&["a[".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("`a[`"), "{error}");
    }
}
