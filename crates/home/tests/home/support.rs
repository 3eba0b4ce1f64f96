//! A home for one test.

use std::path::{Path, PathBuf};

use masque_home::{
    home::{Home, Homes},
    name::Name,
    versions::{Manifest, Note, Reason},
};
use masque_types::time::Timestamp;

pub(crate) struct World {
    pub(crate) root: tempfile::TempDir,
    pub(crate) homes: Homes,
    pub(crate) home: Home,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    /// In memory, where making files durable costs nothing.
    pub(crate) fn fast() -> Self {
        Self::at(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn at(root: tempfile::TempDir) -> Self {
        let homes = Homes::open(root.path(), None).unwrap();
        let home = homes.create(&persona()).unwrap();
        Self { root, homes, home }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.home.directory().join(below)
    }

    pub(crate) fn write(&self, below: &str, content: impl AsRef<[u8]>) {
        write(&self.path(below), content.as_ref());
    }

    pub(crate) fn read(&self, below: &str) -> String {
        fs_err::read_to_string(self.path(below)).unwrap()
    }

    pub(crate) fn backup(&self, at: i64) -> Manifest {
        self.learned(at, None)
    }

    pub(crate) fn learned(&self, at: i64, origin: Option<&str>) -> Manifest {
        let note = Note { at: Timestamp(at), description: "a test", reason: Reason::Asked, origin };
        self.home.versions().backup(&note).unwrap()
    }

    /// All files below the versions of the home.
    pub(crate) fn stored(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.root.path().join("versions/ada"), &mut files);
        files
    }
}

pub(crate) fn persona() -> Name {
    Name::of_persona("ada").unwrap()
}

pub(crate) fn write(path: &Path, content: &[u8]) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, content).unwrap();
}

pub(crate) fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs_err::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, files) } else { files.push(path) }
    }
    files.sort();
}

/// Bytes that neither compress nor repeat.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    use rand::{RngCore as _, SeedableRng as _};
    let mut bytes = vec![0; length];
    rand::rngs::StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}
