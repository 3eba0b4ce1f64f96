//! Walking a home without following a link, and recognising files that did not change.

use std::{
    ffi::{CStr, CString, OsStr},
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Component, Path, PathBuf},
};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};
use serde::{Deserialize, Serialize};

use crate::{Error, files, home};

/// What of a home is in a version.
const PARTS: [&str; 4] = ["context", "icon.svg", home::LABELS_FILE, "workspace"];
/// Directories nested deeper are refused; each level holds one open.
const DEEPEST: usize = 200;

/// By what an unchanged file is recognised. The time of change cannot be set by programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stamp {
    size: u64,
    modified_ns: i64,
    changed_ns: i64,
    inode: u64,
    /// Size and time of a database's log, which changes while the database itself does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log: Option<(u64, i64)>,
}

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified_ns: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            changed_ns: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
            inode: stat.st_ino,
            log: None,
        }
    }

    /// The stamp if any later change of the file would give another one: time goes by ticks, and whatever was changed
    /// in the current one may be changed again in it.
    pub(super) fn settled(self, now: Tick) -> Option<Self> {
        (self.changed_ns < now.0 && self.log.is_none_or(|(_, modified)| modified < now.0)).then_some(self)
    }
}

fn nanoseconds(seconds: impl Into<i64>, nanoseconds: impl TryInto<i64>) -> i64 {
    seconds.into().saturating_mul(1_000_000_000).saturating_add(nanoseconds.try_into().unwrap_or(0))
}

/// The file system's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tick(i64);

impl Tick {
    /// The time that a file would get which changes now.
    pub(super) fn now(directory: &Path) -> Result<Self, Error> {
        let path = files::fresh_beside(&directory.join("tick"));
        let file = files::create_new(&path)?;
        let stat = rustix::fs::fstat(&file)?;
        files::remove_if_there(&path)?;
        Ok(Self(Stamp::of(&stat).changed_ns))
    }
}

/// Something that a walk comes by.
pub(super) enum Found<'a> {
    Directory { mode: u32 },
    Link { target: Vec<u8> },
    File(FoundFile<'a>),
}

/// A file that a walk comes by, to be opened where it was found.
pub(super) struct FoundFile<'a> {
    directory: &'a OwnedFd,
    name: &'a CStr,
    pub(super) mode: u32,
    pub(super) stamp: Stamp,
}

impl FoundFile<'_> {
    /// Opens the file; none when something else stands there now.
    pub(super) fn open(&self) -> Result<Option<std::fs::File>, Error> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(self.directory, self.name, flags, Mode::empty()) {
            Ok(file) => Ok(Some(std::fs::File::from(file)).filter(|file| file.metadata().is_ok_and(|m| m.is_file()))),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::LOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The stamp of the file as it is now; none when it is gone.
    pub(super) fn stamp_now(&self) -> Option<Stamp> {
        let stat = statat(self.directory, self.name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let log = log_stamp(self.directory, self.name);
        Some(Stamp { log, ..Stamp::of(&stat) })
    }
}

/// Size and time of the log beside a database; an empty one is none.
fn log_stamp(directory: &OwnedFd, name: &CStr) -> Option<(u64, i64)> {
    let log = CString::new([name.to_bytes(), b"-wal"].concat()).ok()?;
    let stamp = Stamp::of(&statat(directory, &log, AtFlags::SYMLINK_NOFOLLOW).ok()?);
    (stamp.size > 0).then_some((stamp.size, stamp.modified_ns))
}

/// Walks what of a home is in a version; directories come before what is in them. Sockets, pipes and devices are passed
/// over.
pub(super) fn walk(home: &Path, visit: &mut dyn FnMut(&str, Found<'_>) -> Result<(), Error>) -> Result<(), Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = rustix::fs::open(home, flags, Mode::empty()).map_err(|errno| files::named(home, errno))?;
    for part in PARTS {
        let name = CString::new(part).unwrap_or_default();
        one(&root, &name, "", 0, visit).map_err(|error| inside(home, error))?;
    }
    Ok(())
}

/// Errors of system calls know no path; they get at least the home's.
fn inside(home: &Path, error: Error) -> Error {
    match error {
        Error::File(error) if error.raw_os_error().is_some() && error.get_ref().is_none() => {
            Error::File(std::io::Error::new(error.kind(), format!("{}: {error}", home.display())))
        }
        error => error,
    }
}

fn one(
    directory: &OwnedFd,
    name: &CStr,
    before: &str,
    depth: usize,
    visit: &mut dyn FnMut(&str, Found<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let path =
        if before.is_empty() { escaped(name.to_bytes()) } else { format!("{before}/{}", escaped(name.to_bytes())) };
    let stat = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mode = stat.st_mode & 0o7777;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            visit(&path, Found::Directory { mode })?;
            inside_of(directory, name, &path, depth + 1, visit)
        }
        FileType::Symlink => {
            let target = readlinkat(directory, name, Vec::new())?.into_bytes();
            visit(&path, Found::Link { target })
        }
        FileType::RegularFile => {
            let stamp = Stamp { log: log_stamp(directory, name), ..Stamp::of(&stat) };
            visit(&path, Found::File(FoundFile { directory, name, mode, stamp }))
        }
        _ => Ok(()),
    }
}

fn inside_of(
    parent: &OwnedFd,
    name: &CStr,
    path: &str,
    depth: usize,
    visit: &mut dyn FnMut(&str, Found<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    if depth > DEEPEST {
        return Err(Error::Unfit { path: path.into(), why: format!("it is nested deeper than {DEEPEST} levels") });
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = match openat(parent, name, flags, Mode::empty()) {
        Ok(directory) => directory,
        // It was there a moment ago; now it is gone, or something else.
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut names = Vec::new();
    for entry in Dir::read_from(&directory)? {
        let name = entry?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            names.push(name);
        }
    }
    names.sort();
    names.iter().try_for_each(|name| one(&directory, name, path, depth, visit))
}

/// Bytes of a path as text, without loss.
pub(super) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// The bytes that a text stands for; none when it was not written by [`escaped`].
pub(super) fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        rest = match after.split_first()? {
            (b'\\', after) => {
                bytes.push(b'\\');
                after
            }
            (b'x', after) => {
                let (digits, after) = after.split_at_checked(2)?;
                bytes.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
                after
            }
            _ => return None,
        };
    }
    Some(bytes)
}

/// The path of an entry below a directory. None when it would lead anywhere else.
pub(super) fn below(directory: &Path, path: &str) -> Option<PathBuf> {
    let bytes = unescaped(path)?;
    let relative = Path::new(OsStr::from_bytes(&bytes));
    let is_plain = relative.components().all(|step| matches!(step, Component::Normal(_)));
    (is_plain && !bytes.is_empty()).then(|| directory.join(relative))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_of_a_path_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(unescaped(&escaped(&bytes)), Some(bytes));
        }
    }

    #[test]
    fn paths_stay_below_their_directory() {
        let directory = Path::new("/home");
        assert_eq!(below(directory, "a/b\\\\\\xff").unwrap().as_os_str().as_bytes(), b"/home/a/b\\\xff");
        for bad in ["", "..", "a/../b", "/etc", "./a/..", "\\x2e\\x2e/a", "\\q", "\\x"] {
            assert_eq!(below(directory, bad), None, "{bad}");
        }
    }
}
