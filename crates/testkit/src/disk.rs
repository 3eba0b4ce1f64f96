//! A disk that is too small, or cannot be written: a mounted tmpfs of its own. Only root can mount.

#![expect(clippy::expect_used, reason = "a test that cannot be set up fails by a panic")]

use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, mount_remount, unmount};

use crate::need::lacking;

/// A small file system; it is unmounted when this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    place: PathBuf,
    /// Removed after the disk is unmounted, if it was made for it.
    directory: Option<tempfile::TempDir>,
}

impl SmallDisk {
    /// Mounts a disk of some size in a directory of its own; none, with a word about it, when this user may not.
    ///
    /// # Panics
    /// When there is no temporary directory, or in CI when this user may not.
    #[must_use]
    pub fn mount(bytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut disk = Self::mount_on(directory.path(), bytes)?;
        disk.directory = Some(directory);
        Some(disk)
    }

    /// Mounts a disk of some size on a directory; none, with a word about it, when this user may not.
    ///
    /// # Panics
    /// In CI when this user may not.
    #[must_use]
    pub fn mount_on(place: &Path, bytes: u64) -> Option<Self> {
        let options = std::ffi::CString::new(format!("size={bytes}")).expect("no NUL");
        if let Err(error) = mount("tmpfs", place, "tmpfs", MountFlags::empty(), Some(options.as_c_str())) {
            lacking(&format!("a small disk cannot be mounted: {error}"));
            return None;
        }
        // Kept from other mount namespaces, which would hold it busy.
        let _best_effort = mount_change(place, MountPropagationFlags::PRIVATE);
        Some(Self { place: place.to_owned(), directory: None })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.place
    }

    /// Takes all space that is left; removing the returned file gives it back.
    ///
    /// # Panics
    /// When the file cannot be made.
    #[must_use]
    pub fn fill(&self) -> PathBuf {
        use std::io::Write as _;
        let path = self.path().join("filler");
        let mut file = fs_err::File::create(&path).expect("a file on the small disk");
        while file.write_all(&[0; 512]).is_ok() {}
        path
    }

    /// Makes it read-only.
    ///
    /// # Panics
    /// When the system refuses, for example because a file is open for writing.
    pub fn make_read_only(&self) {
        mount_remount(self.path(), MountFlags::RDONLY, "").expect("the small disk is mounted again, read-only");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _best_effort = unmount(&self.place, UnmountFlags::DETACH);
    }
}
