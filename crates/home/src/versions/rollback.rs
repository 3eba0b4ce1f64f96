//! Going back: a version is laid out beside the home, checked, and exchanged with it in one step.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    io::Write as _,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use masque_types::time::Timestamp;
use rustix::fs::RenameFlags;
use serde::{Deserialize, Serialize};

use super::{
    Note, Versions,
    chunks::Chunks,
    diff,
    manifest::{Draft, Entry, Kind, Manifest, Reason},
    tree::{self, Stamp, Tick},
};
use crate::{Error, files};

/// Up to so many files are made durable one by one; more, by flushing the file system.
const FLUSHED_ONE_BY_ONE: usize = 64;
/// What belongs to the present and is carried over: files by name, or by the beginning of their name.
const CARRIED: [&str; 2] = ["identity.key", "activity.jsonl"];

/// What to go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// All of a version.
    Version(u64),
    /// What was learned from one source, as it was in a version: what did not exist then is removed.
    Origin {
        /// The version.
        version: u64,
        /// The source.
        origin: String,
    },
}

/// A rollback that needs only its last step. Nothing has changed yet; dropping it leaves everything as it is.
pub struct Prepared<'a> {
    versions: &'a Versions,
    _lock: files::Lock,
    manifest: Manifest,
    sealed: Vec<u8>,
}

/// Says that an exchange is about to happen, and how to see whether it did.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Intent {
    number: u64,
    /// The directory that is to become the home.
    inode: u64,
}

impl Versions {
    /// Goes back. What is there now becomes a version first; the rollback becomes another one.
    ///
    /// # Errors
    /// When there is no such version, anything in it is damaged, or the files cannot be written. Then nothing changed.
    pub fn rollback(&self, target: &Target, description: &str, at: Timestamp) -> Result<Manifest, Error> {
        self.prepare(target, description, at)?.commit()
    }

    /// Does everything of a rollback but its last step: keeps what is there now, lays out and checks every byte of what
    /// will be.
    ///
    /// # Errors
    /// As for [`Self::rollback`].
    pub fn prepare(&self, target: &Target, description: &str, at: Timestamp) -> Result<Prepared<'_>, Error> {
        let lock = self.lock()?;
        self.settle()?;
        let last = self.keep_present(at)?;
        let (entries, reason) = self.wanted(target, &last)?;
        let staged = self.staged();
        let mut entries = self.lay_out(&staged, entries)?;
        self.carry_over(&staged)?;
        flush(&staged, &entries)?;
        let tick = Tick::now(&self.directory)?;
        for entry in entries.iter_mut().filter(|entry| matches!(entry.kind, Kind::File { .. })) {
            let path =
                tree::below(&staged, &entry.path).ok_or_else(|| Error::damaged(&entry.path, "no path of a home"))?;
            let stat = rustix::fs::lstat(&path).map_err(|errno| files::named(&path, errno))?;
            entry.stamp = Stamp::of(&stat).settled(tick);
        }
        let draft = Draft { at, description: description.to_owned(), reason, entries };
        let (manifest, sealed) = self.next_manifest(Some(&last), draft)?;
        Ok(Prepared { versions: self, _lock: lock, manifest, sealed })
    }

    /// The newest version, made now if it does not hold what is there.
    fn keep_present(&self, at: Timestamp) -> Result<Manifest, Error> {
        let last =
            self.last()?.ok_or_else(|| Error::NoVersion { persona: self.name.to_string(), wanted: "yet".into() })?;
        let now = self.entries_now(Some(&last), None, &mut |_, _| Ok(()))?;
        if diff::differences(&last.entries, &now).is_empty() {
            return Ok(last);
        }
        let note =
            Note { at, description: "what was there before a rollback", reason: Reason::BeforeRollback, origin: None };
        self.backup_locked(&note)
    }

    fn wanted(&self, target: &Target, last: &Manifest) -> Result<(Vec<Entry>, Reason), Error> {
        match target {
            Target::Version(to) => Ok((self.manifest(*to)?.entries, Reason::Rollback { to: *to })),
            Target::Origin { version, origin } => {
                let then = self.manifest(*version)?;
                let is_learned = |entry: &Entry| entry.origin.as_ref() == Some(origin);
                if !last.entries.iter().any(is_learned) {
                    let what = format!("files that were learned from `{origin}`");
                    return Err(Error::Nothing { persona: self.name.to_string(), what });
                }
                let undone = |entry: &Entry| {
                    if is_learned(entry) { then.entry(&entry.path).cloned() } else { Some(entry.clone()) }
                };
                let reason = Reason::Undo { to: *version, origin: origin.clone() };
                Ok((last.entries.iter().filter_map(undone).collect(), reason))
            }
        }
    }

    /// Writes entries into a fresh directory. Every piece and every whole file is checked on the way.
    fn lay_out(&self, staged: &Path, entries: Vec<Entry>) -> Result<Vec<Entry>, Error> {
        files::remove_tree(staged)?;
        files::create_private_directory(staged)?;
        let chunks = Chunks::open(self)?;
        let mut links = BTreeSet::new();
        for entry in &entries {
            let wrong = |why: &str| Error::damaged(format!("the entry `{}`", entry.path), why);
            let path = tree::below(staged, &entry.path).ok_or_else(|| wrong("it leads out of the home"))?;
            if path.ancestors().any(|above| links.contains(above)) {
                return Err(wrong("it lies behind a link"));
            }
            match &entry.kind {
                Kind::Directory { .. } => fs_err::create_dir(&path)?,
                Kind::Link { target } => {
                    let target = tree::unescaped(target).ok_or_else(|| wrong("its target is no path"))?;
                    fs_err::os::unix::fs::symlink(OsStr::from_bytes(&target), &path)?;
                    links.insert(path);
                }
                Kind::File { mode, digest, chunks: content, .. } => {
                    let mut file = std::io::BufWriter::with_capacity(1 << 20, create(&path, *mode)?);
                    chunks.copy(content, digest, &mut file)?;
                    file.flush()?;
                }
            }
        }
        // Permissions last, from the inside out: a directory may become read-only.
        for entry in entries.iter().rev() {
            if let (Kind::Directory { mode }, Some(path)) = (&entry.kind, tree::below(staged, &entry.path)) {
                fs_err::set_permissions(path, std::fs::Permissions::from_mode(*mode))?;
            }
        }
        Ok(entries)
    }

    /// Gives the fresh directory what belongs to the present. The cache follows after the exchange.
    fn carry_over(&self, staged: &Path) -> Result<(), Error> {
        for path in super::entries(&self.home)? {
            let name = path.file_name().unwrap_or_default();
            if CARRIED.iter().any(|carried| name.as_bytes().starts_with(carried.as_bytes())) {
                // The same file under two names for a moment: whoever appends meanwhile loses nothing.
                fs_err::hard_link(&path, staged.join(name))?;
            }
        }
        files::create_private_directory(&staged.join("cache"))?;
        for part in ["workspace", "context"] {
            files::create_private_directory(&staged.join(part))?;
        }
        Ok(())
    }

    /// Finishes or undoes what a process that died had begun. Cheap when there is nothing.
    pub(crate) fn recover(&self) -> Result<(), Error> {
        if !self.intent().exists() {
            return Ok(());
        }
        let _lock = self.lock()?;
        self.settle()
    }

    /// As [`Self::recover`], for whoever holds the lock.
    pub(super) fn settle(&self) -> Result<(), Error> {
        if let Some(bytes) = files::read_if_there(&self.intent())? {
            let intent: Intent = serde_json::from_slice(&bytes)?;
            let is_home = fs_err::symlink_metadata(&self.home).is_ok_and(|home| home.ino() == intent.inode);
            if is_home {
                self.finish_exchange(intent.number)?;
            } else {
                files::remove_if_there(&self.pending())?;
                files::remove_if_there(&self.intent())?;
            }
        }
        files::remove_tree(&self.staged())?;
        files::remove_if_there(&self.pending())?;
        self.sweep()
    }

    /// Everything after the exchange; each step may have been done before.
    fn finish_exchange(&self, number: u64) -> Result<(), Error> {
        if self.pending().exists() {
            let path = self.manifest_path(number);
            fs_err::rename(self.pending(), &path)?;
            files::sync_parent(&path)?;
        }
        let (staged, previous) = (self.staged(), self.previous());
        let trash = files::fresh_beside(&previous);
        if staged.exists() {
            let (old, new) = (staged.join("cache"), self.home.join("cache"));
            if old.exists() && fs_err::read_dir(&new).is_ok_and(|mut entries| entries.next().is_none()) {
                fs_err::rename(&old, &new)?;
            }
            if previous.exists() {
                fs_err::rename(&previous, &trash)?;
            }
            fs_err::rename(&staged, &previous)?;
        }
        files::remove_if_there(&self.intent())?;
        files::sync_directory(&self.directory)?;
        // From here on everything is as it should be; only space is still to be given back.
        files::remove_tree(&trash)
    }

    /// What the home was before the last rollback, as it was then.
    #[must_use]
    pub fn previous(&self) -> PathBuf {
        self.directory.join("previous")
    }

    fn staged(&self) -> PathBuf {
        self.directory.join("staged")
    }

    fn intent(&self) -> PathBuf {
        self.directory.join("intent.json")
    }

    fn pending(&self) -> PathBuf {
        self.directory.join("pending.manifest")
    }
}

impl Prepared<'_> {
    /// The version that the rollback becomes.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Exchanges what is there for what was prepared, in one step of the file system.
    ///
    /// # Errors
    /// When the file system refuses the exchange. Then nothing changed.
    pub fn commit(self) -> Result<Manifest, Error> {
        let versions = self.versions;
        let staged = versions.staged();
        files::write_private(&versions.pending(), &self.sealed)?;
        let intent = Intent { number: self.manifest.number, inode: fs_err::symlink_metadata(&staged)?.ino() };
        files::write_private(&versions.intent(), serde_json::to_string(&intent)?.as_bytes())?;
        let here = rustix::fs::CWD;
        rustix::fs::renameat_with(here, &staged, here, &versions.home, RenameFlags::EXCHANGE)
            .map_err(|errno| files::named(&versions.home, errno))?;
        files::sync_parent(&versions.home)?;
        versions.finish_exchange(self.manifest.number)?;
        Ok(self.manifest)
    }
}

fn create(path: &Path, mode: u32) -> Result<fs_err::File, Error> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let file = fs_err::OpenOptions::from_options(options).open(path)?;
    // Set apart from creating, where the process' mask would change it.
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    Ok(file)
}

/// Makes what was laid out durable.
fn flush(staged: &Path, entries: &[Entry]) -> Result<(), Error> {
    let many = entries.len() > FLUSHED_ONE_BY_ONE;
    let directory = fs_err::File::open(staged)?;
    if many {
        return rustix::fs::syncfs(&directory).map_err(|errno| files::named(staged, errno));
    }
    for entry in entries.iter().filter(|entry| !matches!(entry.kind, Kind::Link { .. })) {
        if let Some(path) = tree::below(staged, &entry.path) {
            match fs_err::File::open(&path) {
                Ok(file) => file.sync_all()?,
                // A file that even its owner may not read.
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    return rustix::fs::syncfs(&directory).map_err(|errno| files::named(staged, errno));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(directory.sync_all()?)
}
