//! What must be true of a path inside a container, and whether it is.
//!
//! The engine is told paths, not files: between the look at a path and the mount, somebody may exchange it. So the
//! first process compares what it sees with what was looked at, before anything else runs.

use std::os::unix::fs::MetadataExt as _;

use rustix::fs::{Access, StatVfsMountFlags};
use serde::{Deserialize, Serialize};

/// A path inside and what must be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expectation {
    pub(crate) path: String,
    /// Device and inode; not compared when another kernel shows its own.
    pub(crate) identity: Option<(u64, u64)>,
    /// Whether the mount must be read-only; otherwise it must not be.
    pub(crate) read_only: bool,
    /// Whether this user must be able to write to it.
    pub(crate) usable: bool,
}

impl Expectation {
    /// What is not as expected, for people.
    pub(crate) fn unmet(&self) -> Option<String> {
        let path = self.path.as_str();
        let found = match fs_err::symlink_metadata(path) {
            Ok(found) => found,
            Err(error) => return Some(error.to_string()),
        };
        if self.identity.is_some_and(|identity| identity != (found.dev(), found.ino())) {
            return Some(format!("{path} is another file than the one that was checked"));
        }
        let read_only = match rustix::fs::statvfs(path) {
            Ok(found) => found.f_flag.contains(StatVfsMountFlags::RDONLY),
            Err(error) => return Some(format!("{path} cannot be looked at: {error}")),
        };
        if read_only != self.read_only {
            return Some(format!("{path} is {}", if read_only { "read-only" } else { "writable" }));
        }
        if self.usable && rustix::fs::access(path, Access::WRITE_OK).is_err() {
            return Some(format!("{path} cannot be written by the container's user: change its owner"));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::Expectation;

    #[test]
    fn exchanged_absent_and_differently_mounted_paths_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs_err::write(&path, "checked").unwrap();
        // Kept open, so that no other file gets its number.
        let file = fs_err::File::open(&path).unwrap();
        let found = file.metadata().unwrap();
        let expected = Expectation {
            path: path.to_str().unwrap().to_owned(),
            identity: Some((found.dev(), found.ino())),
            read_only: false,
            usable: true,
        };
        assert_eq!(expected.unmet(), None);
        let told = |expectation: Expectation| expectation.unmet().unwrap();
        assert!(told(Expectation { read_only: true, ..expected.clone() }).ends_with("is writable"));
        fs_err::write(directory.path().join("other"), "exchanged").unwrap();
        fs_err::rename(directory.path().join("other"), &path).unwrap();
        assert!(told(expected.clone()).contains("another file"));
        fs_err::remove_file(&path).unwrap();
        fs_err::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(told(expected.clone()).contains("another file"));
        fs_err::remove_file(&path).unwrap();
        assert!(told(expected).contains("file"));
    }
}
