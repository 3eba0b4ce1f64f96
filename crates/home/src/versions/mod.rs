//! Versions of a home: snapshots whose content is cut into pieces, stored once, compressed and sealed; each with a
//! manifest that the installation signed.
//!
//! In a version: the workspace, the saved contexts, the icon and the labels of origin. Not in it: the cache, the key and
//! the activity, which belong to the present.
//!
//! Nothing is ever changed in place. A backup becomes visible by the rename of its manifest, a rollback by the exchange
//! of two directories; whatever was interrupted before that is removed by the next one who comes along. A rollback is
//! itself a version, made after one of what was there, so nothing is lost.

mod backup;
mod chunks;
mod diff;
mod manifest;
mod pack;
mod prune;
mod rollback;
mod schedule;
mod tree;
mod verify;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub use backup::Note;
pub use diff::{Change, Difference};
pub use manifest::{Entry, Kind, Manifest, Reason};
pub use prune::Retention;
pub use rollback::{Prepared, Target};
pub use schedule::{Schedule, backup_due};
pub use verify::Report;

use masque_types::time::Timestamp;

use crate::{
    Error, files,
    identity::KeyPair,
    name::Name,
    seal::{Item, LOCAL, Vault},
};

/// The versions of one home.
#[derive(Debug)]
pub struct Versions {
    name: Name,
    home: PathBuf,
    directory: PathBuf,
    vault: Arc<Vault>,
    signer: KeyPair,
}

impl Versions {
    pub(crate) fn new(name: &Name, home: &Path, directory: &Path, vault: Arc<Vault>, signer: KeyPair) -> Self {
        Self { name: name.clone(), home: home.to_owned(), directory: directory.to_owned(), vault, signer }
    }

    /// All versions, oldest first.
    ///
    /// # Errors
    /// When a manifest is damaged.
    pub fn history(&self) -> Result<Vec<Manifest>, Error> {
        let _lock = self.lock()?;
        self.numbers()?.into_iter().map(|number| self.manifest(number)).collect()
    }

    /// One version.
    ///
    /// # Errors
    /// When there is none of that number, or its manifest is damaged.
    pub fn version(&self, number: u64) -> Result<Manifest, Error> {
        let _lock = self.lock()?;
        self.manifest(number)
    }

    /// The newest version; none when there is none.
    ///
    /// # Errors
    /// When its manifest is damaged.
    pub fn newest(&self) -> Result<Option<Manifest>, Error> {
        let _lock = self.lock()?;
        self.last()
    }

    /// The version that was the newest at a time.
    ///
    /// # Errors
    /// When there was none yet, or a manifest is damaged.
    pub fn version_at(&self, at: Timestamp) -> Result<Manifest, Error> {
        let then = self.history()?.into_iter().rfind(|manifest| manifest.at <= at);
        then.ok_or_else(|| Error::NoVersion {
            persona: self.name.to_string(),
            wanted: "from that time or before".into(),
        })
    }

    fn lock(&self) -> Result<files::Lock, Error> {
        files::Lock::take(&self.directory.join("lock"))
    }

    fn last(&self) -> Result<Option<Manifest>, Error> {
        self.numbers()?.last().map(|number| self.manifest(*number)).transpose()
    }

    /// The numbers of all versions, in order.
    fn numbers(&self) -> Result<Vec<u64>, Error> {
        let mut numbers = Vec::new();
        for path in entries(&self.manifests())? {
            let stem = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".manifest"));
            numbers.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn manifests(&self) -> PathBuf {
        self.directory.join("manifests")
    }

    fn manifest_path(&self, number: u64) -> PathBuf {
        self.manifests().join(format!("{number:08}.manifest"))
    }

    fn packs(&self) -> PathBuf {
        self.directory.join("packs")
    }

    fn item<'a>(&'a self, item: &'a str, version: u64) -> Item<'a> {
        Item { tenant: LOCAL, persona: self.name.as_str(), item, version }
    }

    /// Moves manifests and the keys of packs to the tenant's newest key; how many files were written.
    pub(crate) fn rewrap(&self) -> Result<usize, Error> {
        let _lock = self.lock()?;
        let mut count = 0;
        let mut move_file = |path: &Path, item: &Item<'_>| -> Result<(), Error> {
            if let Some(rewrapped) = self.vault.rewrap(item, &fs_err::read(path)?)? {
                files::write_private(path, &rewrapped)?;
                count += 1;
            }
            Ok(())
        };
        for number in self.numbers()? {
            move_file(&self.manifest_path(number), &self.item("manifest", number))?;
        }
        for id in pack::ids(&self.packs())? {
            move_file(&pack::key_path(&self.packs(), &id), &self.item(&pack::key_item(&id), 0))?;
        }
        Ok(count)
    }
}

/// The paths in a directory; none when there is no such directory.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    match fs_err::read_dir(directory) {
        Ok(entries) => Ok(entries.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
