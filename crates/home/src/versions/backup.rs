//! Making a version of what a home holds now.

use std::{
    collections::BTreeSet,
    io::{Read as _, Seek as _},
    path::Path,
    time::Duration,
};

use masque_types::time::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::{
    Versions,
    chunks::{self, Chunks, Content, Take},
    manifest::{Draft, Entry, Kind, Manifest, Reason},
    tree::{self, Found, FoundFile, Tick},
};
use crate::{Error, files, home::Labels};

const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How often a file that changes while it is read is read again.
const READ_ATTEMPTS: usize = 3;
/// How long a database may be locked by a writer.
const DATABASE_PATIENCE: Duration = Duration::from_secs(5);
const DATABASE_PAGES_PER_STEP: i32 = 4_096;

/// What goes with a backup.
#[derive(Debug, Clone)]
pub struct Note<'a> {
    /// When.
    pub at: Timestamp,
    /// Why, for people.
    pub description: &'a str,
    /// What asked for it.
    pub reason: Reason,
    /// The source that everything which changed since the version before was learned from.
    pub origin: Option<&'a str>,
}

impl Versions {
    /// Makes a version of what the home holds now. Files that did not change since the version before are recognised
    /// without being read; databases of SQLite are copied by their own means, so that no change is torn.
    ///
    /// # Errors
    /// When a file cannot be read, a database stays locked, or the version cannot be written.
    pub fn backup(&self, note: &Note<'_>) -> Result<Manifest, Error> {
        let _lock = self.lock()?;
        self.settle()?;
        self.backup_locked(note)
    }

    pub(super) fn backup_locked(&self, note: &Note<'_>) -> Result<Manifest, Error> {
        let last = self.last()?;
        let mut store = Store::Later(self);
        let entries =
            self.entries_now(last.as_ref(), note.origin, &mut |digest, piece| store.open()?.add(digest, piece))?;
        if let Store::Open(chunks) = &mut store {
            chunks.finish()?;
        }
        let (at, description) = (note.at, note.description.to_owned());
        let draft = Draft { at, description, reason: note.reason.clone(), entries };
        let (manifest, sealed) = self.next_manifest(last.as_ref(), draft)?;
        self.commit(&manifest, &sealed)?;
        Ok(manifest)
    }

    /// What the home holds now, with the pieces of changed files handed on.
    pub(super) fn entries_now(
        &self,
        last: Option<&Manifest>,
        origin: Option<&str>,
        take: &mut Take<'_>,
    ) -> Result<Vec<Entry>, Error> {
        files::create_private_directory(&self.directory)?;
        let mut scan = Scan {
            home: &self.home,
            scratch: &self.directory,
            last,
            labels: Labels::read(&self.home)?,
            origin,
            tick: Tick::now(&self.directory)?,
            databases: BTreeSet::new(),
            entries: Vec::new(),
        };
        tree::walk(&self.home, &mut |path, found| scan.visit(path, found, take))?;
        scan.entries.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(scan.entries)
    }
}

/// The store of pieces, opened when the first piece comes: an unchanged home needs none.
enum Store<'a> {
    Later(&'a Versions),
    Open(Box<Chunks<'a>>),
}

impl<'a> Store<'a> {
    fn open(&mut self) -> Result<&mut Chunks<'a>, Error> {
        if let Self::Later(versions) = self {
            *self = Self::Open(Box::new(Chunks::open(versions)?));
        }
        match self {
            Self::Open(chunks) => Ok(chunks),
            Self::Later(_) => Err(Error::damaged("the store of pieces", "it could not be opened")),
        }
    }
}

/// A walk through a home under way.
struct Scan<'a> {
    home: &'a Path,
    scratch: &'a Path,
    last: Option<&'a Manifest>,
    labels: Labels,
    origin: Option<&'a str>,
    tick: Tick,
    /// Databases come before the files that belong to them.
    databases: BTreeSet<String>,
    entries: Vec<Entry>,
}

impl Scan<'_> {
    fn visit(&mut self, path: &str, found: Found<'_>, take: &mut Take<'_>) -> Result<(), Error> {
        let belongs = |ending: &&str| path.strip_suffix(*ending).is_some_and(|main| self.databases.contains(main));
        if ["-wal", "-shm", "-journal"].iter().any(belongs) {
            return Ok(());
        }
        let known = self.last.and_then(|last| last.entry(path));
        let (kind, stamp) = match found {
            Found::Directory { mode } => (Kind::Directory { mode }, None),
            Found::Link { target } => (Kind::Link { target: tree::escaped(&target) }, None),
            Found::File(file) => {
                let unchanged =
                    known.filter(|known| known.stamp == Some(file.stamp) && has_mode(&known.kind, file.mode));
                match unchanged {
                    Some(known) => (known.kind.clone(), known.stamp),
                    None => match self.read(path, &file, take)? {
                        Some(read) => read,
                        None => return Ok(()),
                    },
                }
            }
        };
        if matches!(kind, Kind::File { sqlite: true, .. }) {
            self.databases.insert(path.to_owned());
        }
        let is_same = known.is_some_and(|known| known.kind == kind);
        let before = known.filter(|_| is_same).and_then(|known| known.origin.clone());
        let given =
            if is_same || matches!(kind, Kind::Directory { .. }) { None } else { self.origin.map(str::to_owned) };
        let origin = self.labels.of(path).map(str::to_owned).or(given).or(before);
        self.entries.push(Entry { path: path.to_owned(), kind, origin, stamp });
        Ok(())
    }

    /// Reads a file until it stays the same meanwhile. One that changes all the time is kept as it was read last; none
    /// when it is gone.
    fn read(
        &self,
        path: &str,
        file: &FoundFile<'_>,
        take: &mut Take<'_>,
    ) -> Result<Option<(Kind, Option<tree::Stamp>)>, Error> {
        let mut read = None;
        for _ in 0..READ_ATTEMPTS {
            let Some(before) = file.stamp_now() else { return Ok(None) };
            let Some(mut opened) = file.open()? else { return Ok(None) };
            let mut head = Vec::new();
            (&opened).take(SQLITE_MAGIC.len() as u64).read_to_end(&mut head)?;
            let sqlite = head == SQLITE_MAGIC;
            opened.rewind()?;
            let content = if sqlite { self.database(path, take) } else { chunks::cut(opened, take) };
            let Content { size, digest, chunks } = match content {
                // It only began like a database.
                Err(Error::Unfit { .. }) => {
                    let Some(opened) = file.open()? else { return Ok(None) };
                    chunks::cut(opened, take)?
                }
                content => content?,
            };
            let kind = Kind::File { size, mode: file.mode, digest, chunks, sqlite };
            if file.stamp_now() == Some(before) {
                return Ok(Some((kind, before.settled(self.tick))));
            }
            read = Some((kind, None));
        }
        Ok(read)
    }

    /// Copies a database page by page under its own locks, and cuts the copy.
    fn database(&self, path: &str, take: &mut Take<'_>) -> Result<Content, Error> {
        let source = tree::below(self.home, path).ok_or_else(|| Error::damaged(path, "no path of a home"))?;
        let copy = files::fresh_beside(&self.scratch.join("database"));
        let done = copy_database(&source, &copy).and_then(|()| chunks::cut(fs_err::File::open(&copy)?, take));
        files::remove_if_there(&copy)?;
        done
    }
}

fn has_mode(kind: &Kind, wanted: u32) -> bool {
    matches!(kind, Kind::File { mode, .. } if *mode == wanted)
}

fn copy_database(source: &Path, copy: &Path) -> Result<(), Error> {
    use rusqlite::{ErrorCode, backup::Backup};
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy { path: source.to_owned() },
        _ => Error::Unfit { path: source.to_owned(), why: format!("as a database: {error}") },
    };
    drop(files::create_new(copy)?);
    // A link anywhere in the path is refused: it could lead out of the home.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let from = Connection::open_with_flags(source, flags).map_err(failed)?;
    from.busy_timeout(DATABASE_PATIENCE).map_err(failed)?;
    let mut to = Connection::open(copy).map_err(failed)?;
    to.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;").map_err(failed)?;
    let backup = Backup::new(&from, &mut to).map_err(failed)?;
    backup.run_to_completion(DATABASE_PAGES_PER_STEP, Duration::ZERO, None).map_err(failed)
}
