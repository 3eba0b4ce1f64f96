//! From the paths of a spec to mounts: [`Places`].
//!
//! A path is looked at once, without trust in links: what is mounted is what was looked at, which the first process of
//! the container checks again. Leaves out the engine's own form of a mount.

use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use crate::{ContainerSpec, Error};

/// Places that belong to the image or the engine, and everything below.
const RESERVED: [&str; 4] = ["/proc", "/sys", "/dev", "/run/masque"];
/// Places that belong to the image; something below them may be mounted.
const SYSTEM: [&str; 12] =
    ["/", "/bin", "/boot", "/etc", "/lib", "/lib64", "/opt", "/run", "/sbin", "/tmp", "/usr", "/var"];
/// What the engines' API would take for something else.
const FORBIDDEN: [char; 3] = [',', ':', '"'];

/// A file or directory of this machine that is shown inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) source: PathBuf,
    pub(crate) read_only: bool,
    /// Device and inode of the source.
    pub(crate) identity: (u64, u64),
}

/// What covers hidden paths: both cannot be read.
#[derive(Debug, Clone)]
pub(crate) struct Covers {
    pub(crate) file: PathBuf,
    pub(crate) directory: PathBuf,
}

/// Mounts by where they stand inside.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) mounts: BTreeMap<PathBuf, Place>,
}

impl Places {
    /// The mounts of a spec: what is granted, on it what must not change, on it what is hidden.
    pub(crate) fn of(spec: &ContainerSpec, covers: &Covers) -> Result<Self, Error> {
        let workspace = real(&spec.workspace)?;
        let mut places = Self::default();
        for path in &spec.readable {
            places.grant(real(&workspace.join(path))?, true)?;
        }
        if !places.mounts.contains_key(&workspace) {
            places.grant(workspace.clone(), true)?;
        }
        for path in &spec.writable {
            places.grant(real(&workspace.join(path))?, false)?;
        }
        let granted = places.mounts.clone();
        for path in &spec.read_only {
            places.protect(&within(&spec.workspace, &workspace, path), &granted)?;
        }
        for path in &spec.hidden {
            places.hide(&within(&spec.workspace, &workspace, path), &workspace, covers)?;
        }
        for (inside, source) in &spec.files {
            places.add(&real(source)?, inside, true)?;
        }
        Ok(places)
    }

    /// Adds a mount that does not depend on the spec's places.
    pub(crate) fn add(&mut self, source: &Path, inside: &Path, read_only: bool) -> Result<(), Error> {
        let place = Place { identity: identity(source)?, source: source.to_path_buf(), read_only };
        check(source)?;
        self.mounts.insert(inside.to_path_buf(), place);
        Ok(())
    }

    fn grant(&mut self, path: PathBuf, read_only: bool) -> Result<(), Error> {
        let system = SYSTEM.iter().any(|system| path == Path::new(system));
        if system || RESERVED.iter().any(|reserved| path.starts_with(reserved)) {
            let problem = "belongs to the image or the engine; give a directory below it, or another one".to_owned();
            return Err(Error::Path { path, problem });
        }
        self.add(&path, &path, read_only)
    }

    /// A path that must not change is mounted on itself, and so are its parents: a directory that only contains a mount
    /// could be renamed and made anew.
    fn protect(&mut self, path: &Path, granted: &BTreeMap<PathBuf, Place>) -> Result<(), Error> {
        let Some((root, place)) = nearest(path, granted) else { return Ok(()) };
        if place.read_only || path == root {
            return match place.read_only {
                true => Ok(()),
                false => Err(unusable(path, "is granted as writable and protected from changes at once")),
            };
        }
        let mut reached = root.to_path_buf();
        for component in path.strip_prefix(root).unwrap_or(path).components() {
            let Component::Normal(name) = component else {
                return Err(unusable(path, "must not contain `..`"));
            };
            reached.push(name);
            let found = fs_err::symlink_metadata(&reached)
                .map_err(|error| unusable(&reached, format!("cannot be protected from changes: {error}")))?;
            if found.is_symlink() {
                let problem = "is a link, which no container can protect from changes: replace it by what it leads to";
                return Err(unusable(&reached, problem));
            }
            let read_only = reached == path;
            if read_only || !self.mounts.contains_key(&reached) {
                self.add(&reached.clone(), &reached, read_only)?;
            }
        }
        Ok(())
    }

    fn hide(&mut self, path: &Path, workspace: &Path, covers: &Covers) -> Result<(), Error> {
        let Ok(path) = fs_err::canonicalize(path) else { return Ok(()) };
        if workspace.starts_with(&path) {
            return Err(unusable(&path, "is the workspace, or around it, and cannot be hidden"));
        }
        if nearest(&path, &self.mounts).is_none() {
            return Ok(());
        }
        self.mounts.retain(|inside, _| !inside.starts_with(&path));
        let cover = if path.is_dir() { &covers.directory } else { &covers.file };
        check(&path)?;
        self.add(cover, &path, true)
    }
}

/// A path as the spec writes it, with the workspace at its resolved place.
fn within(given: &Path, workspace: &Path, path: &Path) -> PathBuf {
    match path.strip_prefix(given) {
        Ok(relative) => workspace.join(relative),
        Err(_) => workspace.join(path),
    }
}

/// The deepest mount that shows a path.
fn nearest<'a>(path: &Path, mounts: &'a BTreeMap<PathBuf, Place>) -> Option<(&'a Path, &'a Place)> {
    path.ancestors().find_map(|above| mounts.get_key_value(above)).map(|(inside, place)| (inside.as_path(), place))
}

fn real(path: &Path) -> Result<PathBuf, Error> {
    fs_err::canonicalize(path).map_err(|error| unusable(path, error.to_string()))
}

fn identity(path: &Path) -> Result<(u64, u64), Error> {
    let found = fs_err::symlink_metadata(path).map_err(|error| unusable(path, error.to_string()))?;
    Ok((found.dev(), found.ino()))
}

/// The path as text that the API takes for nothing else.
pub(crate) fn check(path: &Path) -> Result<&str, Error> {
    let text = path.to_str().ok_or_else(|| unusable(path, "is not UTF-8, which the engines' API needs"))?;
    if text.contains(|character: char| character.is_control() || FORBIDDEN.contains(&character)) {
        return Err(unusable(
            path,
            "contains `,`, `:`, `\"` or a control character: rename it, or use another directory",
        ));
    }
    Ok(text)
}

fn unusable(path: &Path, problem: impl Into<String>) -> Error {
    Error::Path { path: path.to_path_buf(), problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;

    use super::{Covers, Places, check};
    use crate::ContainerSpec;

    struct Scene {
        directory: tempfile::TempDir,
        spec: ContainerSpec,
        covers: Covers,
    }

    /// A workspace with `a/b/file`, `secret/key` and the link `link` to the latter.
    fn scene() -> Scene {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        fs_err::create_dir_all(root.join("workspace/a/b")).unwrap();
        fs_err::create_dir_all(root.join("workspace/secret")).unwrap();
        fs_err::write(root.join("workspace/a/b/file"), "").unwrap();
        fs_err::write(root.join("workspace/secret/key"), "").unwrap();
        fs_err::os::unix::fs::symlink("secret/key", root.join("workspace/link")).unwrap();
        fs_err::write(root.join("cover"), "").unwrap();
        fs_err::create_dir(root.join("covers")).unwrap();
        let spec = ContainerSpec::new("image", root.join("workspace"), "/masque".into());
        Scene { spec, covers: Covers { file: root.join("cover"), directory: root.join("covers") }, directory }
    }

    impl Scene {
        fn at(&self, path: &str) -> PathBuf {
            self.directory.path().canonicalize().unwrap().join("workspace").join(path)
        }

        fn places(&self) -> Places {
            Places::of(&self.spec, &self.covers).unwrap()
        }
    }

    #[test]
    fn protected_paths_are_read_only_and_their_parents_pinned() {
        let mut scene = scene();
        scene.spec.read_only = vec!["a/b/file".into(), "a/b".into()];
        let places = scene.places();
        let read_only = |path: &str| places.mounts[&scene.at(path)].read_only;
        assert!(!read_only("") && !read_only("a") && read_only("a/b") && read_only("a/b/file"));
        scene.spec.writable.clear();
        assert_eq!(scene.places().mounts.len(), 1, "nothing is writable, so nothing needs protection");
    }

    #[test]
    fn hidden_paths_win_over_what_is_granted_below_and_links_are_followed() {
        let mut scene = scene();
        scene.spec.writable = vec!["a/b".into()];
        scene.spec.hidden = vec!["a".into(), "link".into(), "absent".into(), "/etc/passwd".into()];
        let places = scene.places();
        let sources: Vec<_> =
            places.mounts.iter().map(|(inside, place)| (inside.clone(), place.source.clone())).collect();
        let covers = &scene.covers;
        let expected = [("", scene.at("")), ("a", covers.directory.clone()), ("secret/key", covers.file.clone())];
        assert_eq!(sources, expected.map(|(inside, source)| (scene.at(inside), source)));
    }

    #[test]
    fn what_cannot_be_protected_or_mounted_is_refused() {
        for path in ["absent", "link", "../x", "a/../a/b"] {
            let mut scene = scene();
            scene.spec.read_only = vec![path.into()];
            assert!(Places::of(&scene.spec, &scene.covers).is_err(), "{path}");
        }
        for path in ["/", "/usr", "/proc/self", "/dev", "absent"] {
            let mut scene = scene();
            scene.spec.readable = vec![path.into()];
            assert!(Places::of(&scene.spec, &scene.covers).is_err(), "{path}");
        }
        let mut scene = scene();
        scene.spec.hidden = vec![PathBuf::new()];
        assert!(Places::of(&scene.spec, &scene.covers).is_err());
    }

    proptest! {
        #[test]
        fn no_path_says_more_than_itself_to_the_engine(text in "\\PC*|[a-z,:\"\n]*") {
            if let Ok(checked) = check(Path::new(&text)) {
                prop_assert!(checked == text && !text.contains([',', ':', '"', '\n', '\0']));
            }
        }
    }
}
