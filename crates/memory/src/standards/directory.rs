//! The directory of a project's standards: listing, reading and replacing files below it, and nothing outside of it.
//!
//! Every path is opened below the project without following links, so that neither a name nor what somebody put into the
//! directory leads out of it. A file is replaced as a whole by a rename. Leaves out what is in the files.

use std::{
    io::{Read as _, Write as _},
    os::fd::{AsFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use masque_types::{diagnostic::Diagnostic, digest::Digest, standard::StandardKey, time::Timestamp};
use rustix::{
    fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};

use super::key::key_of_file;
use crate::Error;

/// A larger file is no standard.
const LARGEST_FILE: u64 = 256 << 10;
/// Directories below the directory of the standards.
const DEEPEST: usize = 8;
/// More files are no standards.
const MOST_FILES: usize = 10_000;
/// What a name that is refused would be resolved by.
const RESOLVE: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// The directory of a project's standards. It need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    project: PathBuf,
    below: String,
}

/// A file of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundFile {
    /// Its path from the project on.
    pub file: String,
    /// The standard that it is.
    pub key: StandardKey,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was last changed, as the file system says.
    pub changed_at: Timestamp,
    /// Differs when the file was changed or replaced, also within the same millisecond.
    pub stamp: (u64, i64, i64),
}

/// What stands in the directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// The files, sorted by path; each names another standard.
    pub files: Vec<FoundFile>,
    /// What was left out, and why.
    pub diagnostics: Vec<Diagnostic>,
}

/// What came of replacing a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// It holds the new content now.
    Written,
    /// It held the new content already.
    Already,
    /// It holds something else than what was to be replaced: nothing was written.
    Changed,
}

impl Directory {
    /// The directory of that path below a project.
    ///
    /// # Errors
    /// When the path is empty, absolute, or leads out of the project.
    pub fn new(project: &Path, setting: &str) -> Result<Self, Error> {
        let wrong =
            |problem: &str| Error::StandardsDirectory { setting: setting.to_owned(), problem: problem.to_owned() };
        let mut parts = Vec::new();
        for component in Path::new(setting.trim()).components() {
            match component {
                Component::Normal(name) => parts.push(name.to_str().ok_or_else(|| wrong("is no UTF-8 text"))?),
                Component::CurDir => {}
                _ => return Err(wrong("has to be a path below the project: no `..`, no `/` in front")),
            }
        }
        match parts.first() {
            None => Err(wrong("has to name a directory below the project")),
            Some(&".git") => Err(wrong("lies in `.git`, which belongs to git")),
            Some(_) if parts.iter().any(|part| part.chars().any(char::is_control)) => {
                Err(wrong("has control characters"))
            }
            Some(_) => Ok(Self { project: project.to_owned(), below: parts.join("/") }),
        }
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &Path {
        &self.project
    }

    /// Its path from the project on.
    #[must_use]
    pub fn below(&self) -> &str {
        &self.below
    }

    /// The file that a new standard gets, from the project on.
    #[must_use]
    pub fn file_of(&self, key: &StandardKey) -> String {
        format!("{}/{key}.md", self.below)
    }

    /// Whether a path from the project on lies in the directory.
    #[must_use]
    pub fn holds(&self, file: &str) -> bool {
        file.strip_prefix(&self.below).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Lists the standards.
    ///
    /// # Errors
    /// When the directory cannot be read, or leads out of the project by a link.
    pub fn list(&self) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat2(self.root()?, &self.below, flags, Mode::empty(), RESOLVE) {
            Ok(directory) => self.collect(&directory, "", 0, &mut listing)?,
            Err(Errno::NOENT) => return Ok(listing),
            Err(errno) => return Err(self.failed(&self.below, errno)),
        }
        listing.files.sort_by(|one, two| one.file.cmp(&two.file));
        let (mut seen, mut twice) = (std::collections::BTreeMap::new(), Vec::new());
        listing.files.retain(|found| match seen.get(&found.key) {
            None => {
                seen.insert(found.key.clone(), found.file.clone());
                true
            }
            Some(first) => {
                let what = format!("is {} as {first} is, which counts", found.key);
                twice.push(Diagnostic::warning(&found.file, what).hint("rename one of them"));
                false
            }
        });
        listing.diagnostics.extend(twice);
        Ok(listing)
    }

    fn collect(&self, directory: &OwnedFd, below: &str, depth: usize, listing: &mut Listing) -> Result<(), Error> {
        let at = |name: &str| if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
        let entries = Dir::read_from(directory).map_err(|errno| self.failed(&self.below, errno))?;
        for entry in entries {
            let entry = entry.map_err(|errno| self.failed(&self.below, errno))?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            // Names with a dot in front are not for people: they belong to editors, and to files that are being written.
            if name.starts_with('.') {
                continue;
            }
            let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(self.failed(&at(name), errno)),
            };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory if depth < DEEPEST => {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    match rustix::fs::openat(directory, name, flags, Mode::empty()) {
                        Ok(inner) => self.collect(&inner, &at(name), depth + 1, listing)?,
                        Err(errno) => self.left_out(listing, &at(name), &format!("cannot be read: {errno}")),
                    }
                }
                FileType::Directory => self.left_out(listing, &at(name), "lies too deep"),
                _ if !is_markdown(name) => {}
                FileType::RegularFile => self.take(listing, &at(name), &stat),
                FileType::Symlink => self.left_out(listing, &at(name), "is a link, and links are not followed"),
                _ => self.left_out(listing, &at(name), "is no regular file"),
            }
        }
        Ok(())
    }

    fn take(&self, listing: &mut Listing, below: &str, stat: &Stat) {
        let bytes = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if bytes > LARGEST_FILE {
            self.left_out(listing, below, &format!("is larger than {} KiB", LARGEST_FILE >> 10));
        } else if listing.files.len() >= MOST_FILES {
            if listing.files.len() == MOST_FILES {
                self.left_out(
                    listing,
                    below,
                    &format!("is left out with all further files: there are more than {MOST_FILES}"),
                );
            }
        } else if let Some(key) = key_of_file(below) {
            let nanos = i64::try_from(stat.st_mtime_nsec).unwrap_or_default();
            let changed_at = Timestamp(stat.st_mtime.saturating_mul(1_000).saturating_add(nanos / 1_000_000));
            let file = format!("{}/{below}", self.below);
            let stamp = (stat.st_ino, stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(nanos), stat.st_ctime);
            listing.files.push(FoundFile { file, key, bytes, changed_at, stamp });
        } else {
            self.left_out(listing, below, "has no letters or digits in its name");
        }
    }

    fn left_out(&self, listing: &mut Listing, below: &str, why: &str) {
        let file = format!("{}/{below}", self.below);
        listing.diagnostics.push(Diagnostic::warning(file, format!("is no standard: it {why}")));
    }

    /// The content of a file, given from the project on; none when there is none.
    ///
    /// # Errors
    /// When it is no regular text file of sensible size, or a link leads to it.
    pub fn read(&self, file: &str) -> Result<Option<String>, Error> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = match rustix::fs::openat2(self.root()?, file, flags, Mode::empty(), RESOLVE) {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.failed(file, errno)),
        };
        let problem = |problem: &str| Error::StandardFile { file: file.to_owned(), problem: problem.to_owned() };
        let stat = rustix::fs::fstat(&opened).map_err(|errno| self.failed(file, errno))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(problem("is no regular file"));
        }
        let mut bytes = Vec::new();
        let read = std::fs::File::from(opened).take(LARGEST_FILE + 1).read_to_end(&mut bytes);
        read.map_err(|error| problem(&error.to_string()))?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(problem(&format!("is larger than {} KiB", LARGEST_FILE >> 10)));
        }
        String::from_utf8(bytes).map(Some).map_err(|_| problem("is no UTF-8 text: save it as UTF-8"))
    }

    /// Writes a file, given from the project on, if it is still the one that was to be replaced: `base` is its digest, none
    /// stands for no file. `lock` is a file outside of the project; writers wait for each other there.
    ///
    /// # Errors
    /// When the path is not in the directory, leads through a link, or cannot be written; the file is as it was then.
    pub fn replace(&self, file: &str, base: Option<&Digest>, content: &str, lock: &Path) -> Result<Replaced, Error> {
        let name = self.name_of(file)?;
        let _held = self.hold(lock)?;
        match self.read(file)?.map(Digest::of) {
            Some(found) if found == Digest::of(content) => return Ok(Replaced::Already),
            found if found.as_ref() != base => return Ok(Replaced::Changed),
            _ => {}
        }
        let parent = Path::new(file).parent().unwrap_or(Path::new(""));
        let directory = self.made(parent).map_err(|errno| self.failed(file, errno))?;
        write_beside(&directory, &name, content).map_err(|error| Error::StandardFile {
            file: file.to_owned(),
            problem: format!("cannot be written: {error}"),
        })?;
        Ok(Replaced::Written)
    }

    fn name_of(&self, file: &str) -> Result<String, Error> {
        let is_plain = Path::new(file).components().all(|component| matches!(component, Component::Normal(_)));
        let name = Path::new(file).file_name().and_then(|name| name.to_str());
        name.filter(|name| is_plain && self.holds(file) && is_markdown(name)).map(str::to_owned).ok_or_else(|| {
            Error::StandardFile {
                file: file.to_owned(),
                problem: format!("is no file of a standard below {}", self.below),
            }
        })
    }

    fn root(&self) -> Result<OwnedFd, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(&self.project, flags, Mode::empty())
            .map_err(|errno| self.failed(&self.project.display().to_string(), errno))
    }

    /// Opens a directory below the project, and makes what is missing.
    fn made(&self, below: &Path) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut directory = rustix::fs::open(&self.project, flags - OFlags::NOFOLLOW, Mode::empty())?;
        for component in below.components() {
            let name = component.as_os_str();
            match rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            directory = rustix::fs::openat2(&directory, name, flags, Mode::empty(), RESOLVE)?;
            adopt(&directory)?;
        }
        Ok(directory)
    }

    fn hold(&self, lock: &Path) -> Result<std::fs::File, Error> {
        let failed = |error: std::io::Error| Error::StandardFile {
            file: lock.display().to_string(),
            problem: format!("cannot be locked: {error}"),
        };
        let held = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(lock).map_err(failed)?;
        let held = held.into_parts().0;
        rustix::fs::flock(&held, FlockOperation::LockExclusive).map_err(|errno| failed(errno.into()))?;
        Ok(held)
    }

    fn failed(&self, file: &str, errno: Errno) -> Error {
        let problem = match errno {
            Errno::LOOP | Errno::XDEV => "leads through a link, and links are not followed here".to_owned(),
            Errno::NOTDIR => "leads through something that is no directory".to_owned(),
            Errno::ACCESS | Errno::PERM => "may not be opened: check its owner and rights".to_owned(),
            errno => std::io::Error::from(errno).to_string(),
        };
        Error::StandardFile { file: file.to_owned(), problem }
    }
}

fn is_markdown(name: &str) -> bool {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case("md"))
}

/// While a sandbox runs, an empty directory that nobody may write stands for an absent one. What is made in it from
/// outside cannot be changed from inside, so it becomes a directory as others.
fn adopt(directory: &OwnedFd) -> Result<(), Errno> {
    let stat = rustix::fs::fstat(directory)?;
    let nobody_writes = stat.st_mode & 0o1222 == 0o1000;
    if nobody_writes && stat.st_uid == rustix::process::geteuid().as_raw() {
        rustix::fs::fchmod(directory, Mode::from_raw_mode(0o755))?;
    }
    Ok(())
}

/// Writes a file of its own and renames it, so that a reader sees the old file or the new one.
fn write_beside(directory: &OwnedFd, name: &str, content: &str) -> std::io::Result<()> {
    let fresh = format!(".{name}.masque-new");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Left by a writer that was killed, or put there by somebody: it is not opened, but replaced.
    match rustix::fs::unlinkat(directory, fresh.as_str(), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let opened = rustix::fs::openat(directory, fresh.as_str(), flags, Mode::from_raw_mode(0o644))?;
    let mut file = std::fs::File::from(opened);
    let written = file.write_all(content.as_bytes()).and_then(|()| file.sync_all());
    let renamed = written.and_then(|()| Ok(rustix::fs::renameat(directory, fresh.as_str(), directory, name)?));
    if renamed.is_err() {
        let _nothing_better_can_be_done = rustix::fs::unlinkat(directory, fresh.as_str(), AtFlags::empty());
    }
    renamed.and_then(|()| Ok(rustix::fs::fsync(directory.as_fd())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::standards::key::parse;

    struct Project(tempfile::TempDir);

    impl Project {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn write(&self, path: &str, content: &str) {
            let path = self.0.path().join("project").join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, content).unwrap();
        }

        fn directory(&self) -> Directory {
            fs_err::create_dir_all(self.0.path().join("project")).unwrap();
            Directory::new(&self.0.path().join("project"), ".masque/standards").unwrap()
        }

        fn replace(&self, file: &str, base: Option<&str>, content: &str) -> Result<Replaced, Error> {
            let base = base.map(Digest::of);
            self.directory().replace(file, base.as_ref(), content, &self.0.path().join("lock"))
        }
    }

    #[test]
    fn only_a_path_below_the_project_is_taken() {
        let of = |setting: &str| Directory::new(Path::new("/p"), setting).map(|directory| directory.below().to_owned());
        assert_eq!(of(".agent-os/standards/").unwrap(), ".agent-os/standards");
        assert_eq!(of("./docs//rules").unwrap(), "docs/rules");
        for wrong in ["", ".", "..", "a/../..", "/etc", "~/../x/..", ".git/hooks", "a\n/b"] {
            assert!(of(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn links_large_files_and_what_is_no_text_are_left_out() {
        let project = Project::new();
        assert_eq!(project.directory().list().unwrap(), Listing::default(), "nothing is there");
        project.write(".masque/standards/data/kafka.md", "x");
        project.write(".masque/standards/data/Kafka.MD", "y");
        project.write(".masque/standards/top.md", "z");
        project.write(".masque/standards/.hidden.md", "z");
        project.write(".masque/standards/data/notes.txt", "z");
        project.write(".masque/standards/data/large.md", &"x".repeat(300 << 10));
        project.write("secret.md", "outside of the standards");
        let data = project.0.path().join("project/.masque/standards/data");
        std::os::unix::fs::symlink("../../../secret.md", data.join("link.md")).unwrap();
        std::os::unix::fs::symlink(".", data.join("loop")).unwrap();
        let listing = project.directory().list().unwrap();
        let keys: Vec<String> = listing.files.iter().map(|found| found.key.to_string()).collect();
        assert_eq!(keys, ["data/kafka", "general/top"]);
        let mut told: Vec<String> =
            listing.diagnostics.iter().map(|told| format!("{} {}", told.file, told.message)).collect();
        told.sort();
        assert_eq!(
            told,
            [
                ".masque/standards/data/kafka.md is data/kafka as .masque/standards/data/Kafka.MD is, which counts",
                ".masque/standards/data/large.md is no standard: it is larger than 256 KiB",
                ".masque/standards/data/link.md is no standard: it is a link, and links are not followed",
            ]
        );
        assert!(project.directory().read(".masque/standards/data/link.md").is_err());
        assert!(
            project.directory().read(".masque/standards/../../secret.md").unwrap().is_some(),
            "still in the project"
        );
        assert!(project.directory().read("../lock").is_err(), "not outside of it");
    }

    #[test]
    fn a_file_is_replaced_only_if_it_is_the_one_that_was_seen() {
        let project = Project::new();
        let file = project.directory().file_of(&parse("data/kafka").unwrap());
        assert_eq!(project.replace(&file, Some("old"), "new").unwrap(), Replaced::Changed);
        assert!(!project.0.path().join("project/.masque").exists(), "nothing was made");
        assert_eq!(project.replace(&file, None, "one").unwrap(), Replaced::Written);
        assert_eq!(project.replace(&file, None, "one").unwrap(), Replaced::Already);
        assert_eq!(project.replace(&file, None, "two").unwrap(), Replaced::Changed);
        assert_eq!(project.replace(&file, Some("one"), "two").unwrap(), Replaced::Written);
        assert_eq!(project.directory().read(&file).unwrap().unwrap(), "two");
        let left: Vec<_> = fs_err::read_dir(project.0.path().join("project/.masque/standards/data")).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing is left beside it");
    }

    #[test]
    fn nothing_is_written_through_a_link_or_outside() {
        let project = Project::new();
        fs_err::create_dir_all(project.0.path().join("elsewhere")).unwrap();
        project.directory();
        let masque = project.0.path().join("project/.masque");
        std::os::unix::fs::symlink(project.0.path().join("elsewhere"), &masque).unwrap();
        assert!(project.replace(".masque/standards/a/b.md", None, "x").is_err());
        assert!(project.directory().list().is_err(), "a link is told, not followed");
        fs_err::remove_file(&masque).unwrap();
        fs_err::create_dir_all(masque.join("standards")).unwrap();
        std::os::unix::fs::symlink(project.0.path().join("elsewhere"), masque.join("standards/a")).unwrap();
        assert!(project.replace(".masque/standards/a/b.md", None, "x").is_err());
        for outside in
            ["a.md", ".masque/standards.md", ".masque/standards/../../a.md", "/etc/a.md", ".masque/standards/a/b.sh"]
        {
            assert!(project.replace(outside, None, "x").is_err(), "{outside}");
        }
        assert_eq!(fs_err::read_dir(project.0.path().join("elsewhere")).unwrap().count(), 0);
    }

    #[test]
    fn the_place_that_a_sandbox_holds_is_taken() {
        let project = Project::new();
        let masque = project.directory().project().join(".masque");
        fs_err::create_dir(&masque).unwrap();
        fs_err::set_permissions(&masque, std::os::unix::fs::PermissionsExt::from_mode(0o1555)).unwrap();
        assert_eq!(project.replace(".masque/standards/a/b.md", None, "x").unwrap(), Replaced::Written);
    }
}
