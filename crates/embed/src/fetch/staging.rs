//! The place beside a model's directory where its files are gathered: one fetch at a time, kept for a later one to go on
//! with, and put in the directory's place when everything in it was checked.

use std::{
    fs::TryLockError,
    io::Read,
    path::{Path, PathBuf},
};

use masque_types::digest::Digest;

use crate::{
    error::Error,
    fetch::{Progress, Watch},
    files::{Manifest, ModelFile, ModelFiles, digest_of},
};

/// The gathering place of one model, held alone.
pub(super) struct Staging {
    model: &'static ModelFiles,
    models: PathBuf,
    directory: PathBuf,
    /// Its lock is what keeps a second fetch out; it goes with the file.
    _lock: fs_err::File,
}

impl Staging {
    /// Opens the place below the directory of all models.
    pub(super) fn open(model: &'static ModelFiles, models: &Path) -> Result<Self, Error> {
        let directory = models.join(format!(".incoming-{}", model.name));
        fs_err::create_dir_all(&directory)?;
        let lock = fs_err::File::create(models.join(format!(".incoming-{}.lock", model.name)))?;
        match lock.file().try_lock() {
            Ok(()) => Ok(Self { model, models: models.to_owned(), directory, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(std::io::Error::other(format!("{} is being fetched already: wait for the other fetch", model.name))
                    .into())
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Where a file is gathered.
    pub(super) fn part(&self, file: &ModelFile) -> PathBuf {
        self.directory.join(format!("{}.part", file.name))
    }

    /// Copies a file and checks it.
    pub(super) fn copy(&self, file: &ModelFile, source: impl Read, place: &str, watch: Watch<'_>) -> Result<(), Error> {
        let part = fs_err::File::create(self.part(file))?;
        // One byte more than it may have: a longer file is noticed, and an endless one does not fill the disk.
        let counted = Counted { source: source.take(file.size + 1), part, bytes: 0, file, watch };
        let digest = digest_of(counted)?;
        self.check(file, digest, place)
    }

    /// Checks a gathered file and gives it its name; a wrong one is removed.
    pub(super) fn accept(&self, file: &ModelFile, place: &str) -> Result<(), Error> {
        let digest = digest_of(fs_err::File::open(self.part(file))?)?;
        self.check(file, digest, place)
    }

    fn check(&self, file: &ModelFile, digest: Digest, place: &str) -> Result<(), Error> {
        if digest.to_string() != file.sha256 {
            fs_err::remove_file(self.part(file))?;
            return Err(Error::Digest {
                place: place.to_owned(),
                file: file.name.to_owned(),
                model: self.model.name,
                expected: file.sha256.to_owned(),
                got: digest.to_string(),
            });
        }
        fs_err::File::open(self.part(file))?.sync_all()?;
        Ok(fs_err::rename(self.part(file), self.directory.join(file.name))?)
    }

    /// Whether a file was gathered and checked by an earlier fetch.
    pub(super) fn has(&self, file: &ModelFile) -> bool {
        let Ok(gathered) = fs_err::File::open(self.directory.join(file.name)) else { return false };
        digest_of(gathered).is_ok_and(|digest| digest.to_string() == file.sha256)
    }

    /// Puts what was gathered in the place of the model's directory, and says where that is.
    pub(super) fn publish(self) -> Result<PathBuf, Error> {
        let digest = |file: &ModelFile| file.sha256.parse().ok().map(|digest| (file.name.to_owned(), digest));
        let files = self.model.files.iter().filter_map(digest).collect();
        Manifest { name: self.model.name.to_owned(), files }.write(&self.directory)?;
        let target = self.model.directory(&self.models);
        let old = self.models.join(format!(".outgoing-{}", self.model.name));
        if target.exists() {
            fs_err::rename(&target, &old)?;
        }
        fs_err::rename(&self.directory, &target)?;
        if old.exists() {
            fs_err::remove_dir_all(old)?;
        }
        Ok(target)
    }
}

/// Writes what is read through it.
struct Counted<'a, R> {
    source: std::io::Take<R>,
    part: fs_err::File,
    bytes: u64,
    file: &'a ModelFile,
    watch: Watch<'a>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let size = self.source.read(buffer)?;
        std::io::Write::write_all(&mut self.part, buffer.get(..size).unwrap_or_default())?;
        self.bytes += size as u64;
        (self.watch)(Progress { file: self.file.name, bytes: self.bytes, of: self.file.size });
        Ok(size)
    }
}
