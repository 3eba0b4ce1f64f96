//! Whether files that something was read from are still as they were, told by their metadata: cheap enough for each call.

use std::{
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// Beyond this many entries nothing is remembered.
const MOST_ENTRIES: usize = 20_000;
const DEEPEST: usize = 16;

/// Everything below some paths, by place, inode, size and times. A change of content changes the time of the last change,
/// which programs cannot set back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamps(Vec<(PathBuf, [i64; 5])>);

impl Stamps {
    /// Looks at some paths and all that is below them, without one directory; what is absent counts as absent. `None` when
    /// there is too much.
    pub(super) fn of(roots: &[PathBuf], without: &Path) -> Option<Self> {
        let mut found = Vec::new();
        for root in roots {
            collect(root, without, 0, &mut found)?;
        }
        Some(Self(found))
    }
}

fn collect(path: &Path, without: &Path, depth: usize, found: &mut Vec<(PathBuf, [i64; 5])>) -> Option<()> {
    // Of a link it counts where it leads to; where it stands shows in the time of its directory.
    let Ok(metadata) = fs_err::metadata(path) else { return Some(()) };
    if path == without {
        return Some(());
    }
    if depth > DEEPEST || found.len() >= MOST_ENTRIES {
        return None;
    }
    let inode = i64::from_ne_bytes(metadata.ino().to_ne_bytes());
    let size = i64::from_ne_bytes(metadata.size().to_ne_bytes());
    let stamp = [inode, size, metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
    found.push((path.to_owned(), stamp));
    if metadata.is_dir() {
        let Ok(entries) = fs_err::read_dir(path) else { return Some(()) };
        let mut below: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
        below.sort_unstable();
        for path in below {
            collect(&path, without, depth + 1, found)?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_seen() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().join("agents"), root.path().join("AGENTS.md")];
        let without = roots[0].join("many");
        let stamps = || Stamps::of(&roots, &without).unwrap();
        let empty = stamps();
        assert_eq!(stamps(), empty);
        fs_err::create_dir(&roots[0]).unwrap();
        fs_err::write(roots[0].join("a.md"), "a").unwrap();
        fs_err::create_dir(&without).unwrap();
        let one = stamps();
        fs_err::write(without.join("one"), "").unwrap();
        assert_eq!(stamps(), one, "what is left out is not looked at");
        assert_ne!(one, empty);
        fs_err::write(root.path().join("new"), "b").unwrap();
        fs_err::rename(root.path().join("new"), roots[0].join("a.md")).unwrap();
        let two = stamps();
        assert_ne!(two, one);
        fs_err::write(&roots[1], "").unwrap();
        assert_ne!(stamps(), two);
    }
}
