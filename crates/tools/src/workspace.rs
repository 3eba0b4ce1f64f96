//! The one way from a path in a call to a file: beneath the workspace, never hidden, never protected.
//!
//! Every open goes through `openat2` with `RESOLVE_BENEATH` from a directory handle, so that a symbolic link swapped
//! between check and open leads nowhere. The sandbox enforces the same from outside; this holds without one too.
//! Leaves out what is done with the files.

use std::{
    ffi::OsStr,
    fs::File,
    io::Write,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    },
    path::{Component, Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};

use crate::{
    Error,
    failure::{Failure, Outcome},
    server::ToolServerConfig,
};

/// Tries of an `openat2` that met a rename on its way.
const RACE_TRIES: u32 = 64;

/// The workspace of one tool server.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    /// The path as it was configured; models repeat it when it reaches them through the task.
    spelled: PathBuf,
    directory: OwnedFd,
    hidden: Hidden,
    read_only: Vec<PathBuf>,
    writable: Option<Vec<PathBuf>>,
}

impl Workspace {
    /// Opens the workspace.
    ///
    /// # Errors
    /// When the directory cannot be opened or a pattern is wrong.
    pub(crate) fn open(config: &ToolServerConfig) -> Result<Self, Error> {
        let failed = |source| Error::Workspace { path: config.workspace.clone(), source };
        let root = fs_err::canonicalize(&config.workspace).map_err(failed)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&root, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
        Ok(Self {
            root,
            spelled: config.workspace.clone(),
            directory,
            hidden: Hidden::new(&config.hidden)?,
            read_only: config.read_only.clone(),
            writable: config.writable.clone(),
        })
    }

    /// The path of a call relative to the workspace; the workspace itself is the empty path. Looks at the text only.
    ///
    /// # Errors
    /// For a path that is empty, has NUL or `..`, or is absolute and outside.
    pub(crate) fn relative(&self, text: &str) -> Outcome<PathBuf> {
        if text.contains('\0') {
            return Err(Failure::new("a path cannot contain NUL; use the name as fs.list shows it"));
        }
        if text.is_empty() {
            return Err(Failure::new("the path is empty; use `.` for the workspace"));
        }
        let path = Path::new(text);
        let inside = if path.is_absolute() {
            let stripped = path.strip_prefix(&self.root).or_else(|_| path.strip_prefix(&self.spelled));
            stripped.map_err(|_| self.outside(text))?
        } else {
            path
        };
        let mut relative = PathBuf::new();
        for component in inside.components() {
            match component {
                Component::Normal(name) => relative.push(name),
                Component::CurDir => {}
                _ => return Err(self.outside(text)),
            }
        }
        Ok(relative)
    }

    fn outside(&self, text: &str) -> Failure {
        Failure::new(format!(
            "`{text}` is not accepted: only paths inside the workspace `{}` can be used; write the path relative to it, \
             without `..`",
            self.root.display()
        ))
    }

    /// Whether the persona must not see a path, given relative to the workspace.
    pub(crate) fn is_hidden(&self, relative: &Path) -> bool {
        self.hidden.covers(relative)
    }

    /// Whether a path only stands for a protected one that is absent: an empty directory that nobody may write, which
    /// the sandbox shows so that the path cannot be made.
    pub(crate) fn is_placeholder(&self, relative: &Path) -> bool {
        let leads_to_protected = |protected: &PathBuf| protected.starts_with(relative);
        if relative.as_os_str().is_empty() || !self.read_only.iter().any(leads_to_protected) {
            return false;
        }
        let path = self.root.join(relative);
        let unwritable = fs_err::symlink_metadata(&path)
            .is_ok_and(|metadata| metadata.is_dir() && metadata.permissions().mode() & 0o222 == 0);
        unwritable && fs_err::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
    }

    /// The workspace's own path, without symbolic links.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// When there is no such file inside the workspace, it is hidden, or it is no regular file.
    pub(crate) fn open_file(&self, relative: &Path) -> Outcome<(File, Stat)> {
        // NONBLOCK: opening a pipe without a writer must not wait.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = self.open_beneath(relative, flags)?;
        self.check_visible(relative, &opened)?;
        let stat = rustix::fs::fstat(&opened).map_err(|errno| explain(relative, errno))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok((File::from(opened), stat)),
            FileType::Directory => {
                Err(Failure::new(format!("`{}` is a directory; list it with fs.list", relative.display())))
            }
            _ => Err(Failure::new(format!(
                "`{}` is neither a file nor a directory (a pipe, socket or device); it cannot be read",
                relative.display()
            ))),
        }
    }

    /// Checks that a directory is inside the workspace and visible; gives its real path for walking.
    ///
    /// # Errors
    /// When there is no such directory inside the workspace, or it is hidden.
    pub(crate) fn directory(&self, relative: &Path) -> Outcome<PathBuf> {
        let opened = self.open_beneath(relative, OFlags::PATH | OFlags::DIRECTORY)?;
        let real = self.check_visible(relative, &opened)?;
        Ok(self.root.join(real))
    }

    /// What a path is, links followed; `None` when there is nothing.
    ///
    /// # Errors
    /// When the path leads out of the workspace.
    pub(crate) fn kind(&self, relative: &Path) -> Outcome<FileType> {
        let opened = self.open_beneath(relative, OFlags::PATH)?;
        let stat = rustix::fs::fstat(&opened).map_err(|errno| explain(relative, errno))?;
        Ok(FileType::from_raw_mode(stat.st_mode))
    }

    fn open_beneath(&self, relative: &Path, flags: OFlags) -> Outcome<OwnedFd> {
        self.try_open_beneath(relative, flags).map_err(|errno| explain(relative, errno))
    }

    fn try_open_beneath(&self, relative: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC;
        let mut tries = 0;
        loop {
            match rustix::fs::openat2(&self.directory, path, flags, Mode::empty(), resolve) {
                // The kernel met a rename and could not prove that the path stays beneath.
                Err(Errno::AGAIN) if tries < RACE_TRIES => tries += 1,
                result => return result,
            }
        }
    }

    /// Judges the path that was really opened, so that a link to a hidden file does not help. Gives that path.
    fn check_visible(&self, asked: &Path, opened: &OwnedFd) -> Outcome<PathBuf> {
        use std::os::fd::AsRawFd as _;
        let link = format!("/proc/self/fd/{}", opened.as_raw_fd());
        let real = fs_err::read_link(link)
            .map_err(|error| Failure::new(format!("`{}` cannot be checked: {error}", asked.display())))?;
        let real = real.strip_prefix(&self.root).map_err(|_| leads_out(asked))?.to_path_buf();
        if self.is_hidden(asked) || self.is_hidden(&real) {
            return Err(hidden(asked));
        }
        Ok(real)
    }

    /// Writes a file whole: to a new file beside it, then renamed over it, so that nobody sees a half-written one and
    /// a hard link elsewhere keeps its content. Missing directories are made.
    ///
    /// # Errors
    /// When the path is outside, hidden, protected or no regular file, or writing fails.
    pub(crate) fn replace(&self, relative: &Path, bytes: &[u8]) -> Outcome<Replaced> {
        let name =
            relative.file_name().ok_or_else(|| Failure::new("the path is the workspace itself; name a file in it"))?;
        let parent = relative.parent().unwrap_or(Path::new(""));
        self.check_writable(relative)?;
        let directory = self.make_directories(parent)?;
        let real = self.check_visible(parent, &directory)?.join(name);
        self.check_writable(&real)?;
        let before = target(&directory, name, relative)?;
        write_beside(&directory, name, bytes, before).map_err(|error| explain_io(relative, &error))?;
        Ok(if before.is_some() { Replaced::Replaced } else { Replaced::Created })
    }

    fn check_writable(&self, relative: &Path) -> Outcome<()> {
        if self.is_hidden(relative) {
            return Err(hidden(relative));
        }
        if self.read_only.iter().any(|protected| relative.starts_with(protected)) {
            return Err(Failure::new(format!(
                "`{}` is protected: personas cannot write there; leave it as it is, or tell the user what to change",
                relative.display()
            )));
        }
        match &self.writable {
            Some(writable) if !writable.iter().any(|directory| relative.starts_with(directory)) => {
                let list: Vec<_> = writable.iter().map(|path| path.display().to_string()).collect();
                let list = if list.is_empty() { "nothing".to_owned() } else { list.join(", ") };
                Err(Failure::new(format!("`{}` is read-only here; writable is: {list}", relative.display())))
            }
            _ => Ok(()),
        }
    }

    /// Makes a directory and those above it, inside the workspace.
    ///
    /// # Errors
    /// When the path leads outside or cannot be made.
    pub(crate) fn make_directory(&self, relative: &Path) -> Outcome<()> {
        self.make_directories(relative).map(drop)
    }

    fn make_directories(&self, parent: &Path) -> Outcome<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let mut done = PathBuf::new();
        let mut handle = self.open_beneath(&done, flags)?;
        for name in parent.iter() {
            done.push(name);
            handle = match self.try_open_beneath(&done, flags) {
                Err(Errno::NOENT) => {
                    match rustix::fs::mkdirat(&handle, name, Mode::from_raw_mode(0o777)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(explain(&done, errno)),
                    }
                    self.open_beneath(&done, flags)?
                }
                result => result.map_err(|errno| explain(&done, errno))?,
            };
        }
        Ok(handle)
    }
}

/// What writing a file did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// There was none before.
    Created,
    /// There was one before.
    Replaced,
}

/// The permissions of the file that is to be replaced; `None` when there is none.
fn target(directory: &OwnedFd, name: &OsStr, relative: &Path) -> Outcome<Option<Mode>> {
    let shown = relative.display();
    let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        result => result.map_err(|errno| explain(relative, errno))?,
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(Some(Mode::from_raw_mode(stat.st_mode))),
        FileType::Symlink => {
            Err(Failure::new(format!("`{shown}` is a symbolic link; write to the file that it points to")))
        }
        FileType::Directory => Err(Failure::new(format!("`{shown}` is a directory; name a file in it"))),
        _ => Err(Failure::new(format!("`{shown}` is a pipe, socket or device and cannot be replaced"))),
    }
}

fn write_beside(directory: &OwnedFd, name: &OsStr, bytes: &[u8], mode: Option<Mode>) -> std::io::Result<()> {
    let (file, temporary) = new_file(directory)?;
    let written =
        fill(file, bytes, mode).and_then(|()| Ok(rustix::fs::renameat(directory, &temporary, directory, name)?));
    if written.is_err() {
        // Nothing more can be done about a leftover than to try.
        let _ = rustix::fs::unlinkat(directory, &temporary, AtFlags::empty());
    }
    written
}

fn new_file(directory: &OwnedFd) -> std::io::Result<(File, String)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    loop {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".masque-write-{}-{number}", std::process::id());
        match rustix::fs::openat(directory, &temporary, flags, Mode::from_raw_mode(0o666)) {
            Err(Errno::EXIST) => {}
            result => return Ok((File::from(result?), temporary)),
        }
    }
}

fn fill(mut file: File, bytes: &[u8], mode: Option<Mode>) -> std::io::Result<()> {
    file.write_all(bytes)?;
    if let Some(mode) = mode {
        rustix::fs::fchmod(&file, mode)?;
    }
    // The journal will say that the call happened: the bytes must outlive a power cut.
    file.sync_data()
}

fn hidden(relative: &Path) -> Failure {
    Failure::new(format!(
        "`{}` is hidden from personas because it may hold secrets; go on without it, or ask the user",
        relative.display()
    ))
}

fn leads_out(relative: &Path) -> Failure {
    Failure::new(format!(
        "`{}` leads out of the workspace through a symbolic link; only files inside the workspace can be used",
        relative.display()
    ))
}

fn explain(relative: &Path, errno: Errno) -> Failure {
    explain_io(relative, &errno.into())
}

/// A system error in words that say what to do next.
fn explain_io(relative: &Path, error: &std::io::Error) -> Failure {
    let shown = relative.display();
    Failure::new(match Errno::from_io_error(error) {
        Some(Errno::XDEV) => return leads_out(relative),
        Some(Errno::NOENT) => {
            format!("`{shown}` does not exist; find the right path with fs.list or fs.glob")
        }
        Some(Errno::LOOP) => format!("`{shown}` goes through too many or special symbolic links"),
        Some(Errno::NOTDIR) => format!("a part of `{shown}` is a file, not a directory; list its parent with fs.list"),
        Some(Errno::ACCESS | Errno::PERM) => {
            format!("`{shown}` may not be accessed: hidden, or the permissions forbid it; go on without it")
        }
        Some(Errno::ROFS) => format!("`{shown}` is read-only for this persona; write somewhere else, or ask the user"),
        Some(Errno::NOSPC | Errno::DQUOT) => format!("no space left to write `{shown}`; nothing was changed"),
        Some(Errno::NAMETOOLONG) => format!("`{shown}` is too long for a path"),
        Some(Errno::NOSYS) => "this kernel lacks openat2, without which paths cannot be confined".to_owned(),
        _ => format!("`{shown}`: {error}"),
    })
}

/// The names and paths that do not exist for personas.
#[derive(Debug)]
pub(crate) struct Hidden {
    /// Patterns without `/`: they match any step of a path.
    names: GlobSet,
    /// Patterns with `/`: they match a path from the workspace on, and everything below it.
    paths: GlobSet,
}

impl Hidden {
    /// # Errors
    /// For a pattern that is no glob.
    pub(crate) fn new(patterns: &[String]) -> Result<Self, Error> {
        let (paths, names): (Vec<_>, Vec<_>) =
            patterns.iter().map(|pattern| pattern.trim_end_matches('/')).partition(|pattern| pattern.contains('/'));
        Ok(Self { names: glob_set(&names)?, paths: glob_set(&paths)? })
    }

    fn covers(&self, relative: &Path) -> bool {
        relative.iter().any(|name| self.names.is_match(Path::new(name)))
            || relative.ancestors().any(|part| self.paths.is_match(part))
    }
}

fn glob_set(patterns: &[&str]) -> Result<GlobSet, Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let wrong =
            |error: globset::Error| Error::Pattern { pattern: (*pattern).to_owned(), reason: error.kind().to_string() };
        let anchored = pattern.trim_start_matches("./").trim_start_matches('/');
        set.add(GlobBuilder::new(anchored).literal_separator(true).build().map_err(wrong)?);
    }
    set.build().map_err(|error| Error::Pattern { pattern: patterns.join(", "), reason: error.to_string() })
}

/// A name for people and models: text as it is, other bytes escaped so that they can be seen.
pub(crate) fn shown(name: &OsStr) -> String {
    match name.to_str() {
        Some(text) if !text.contains(|letter: char| letter.is_control()) => text.to_owned(),
        _ => name.as_bytes().escape_ascii().to_string(),
    }
}
