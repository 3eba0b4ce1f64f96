//! The prepared form of a start: everything that the cloned child needs, so that it never allocates.

use std::{
    ffi::{CString, OsStr},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
    sync::Arc,
};

use crate::{Error, NetworkSpace, filter::Instruction, landlock, mailbox::Mailbox};

/// A file or directory of the host that is shown in the sandbox.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// Absolute, without symbolic links.
    pub(crate) path: CString,
    /// Device and inode that were checked; another file there is refused.
    pub(crate) identity: Option<(u64, u64)>,
    /// Mount attributes to set.
    pub(crate) attributes: u64,
}

/// What covers a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cover {
    /// An unreadable file.
    File,
    /// An unreadable directory.
    Directory,
    /// An empty, read-only directory.
    Nothing,
}

impl Cover {
    /// Where it stands in the new root.
    pub(crate) const fn path(self) -> &'static std::ffi::CStr {
        match self {
            Self::File => c"run/masque/hidden-file",
            Self::Directory => c"run/masque/hidden-directory",
            Self::Nothing => c"run/masque/nothing",
        }
    }
}

/// One change to the new root. Paths are relative to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Makes a directory unless it exists.
    Directory { path: CString, mode: u32 },
    /// Makes a symbolic link.
    Link { path: CString, target: CString },
    /// Makes a file.
    File { path: CString, contents: Vec<u8>, mode: u32 },
    /// Mounts an empty file system.
    Temporary { path: CString, size: CString },
    /// Mounts the process file system, read-only.
    Processes { path: CString },
    /// Attaches a source.
    Attach { path: CString, source: usize },
    /// Covers a path. One to hide that has vanished meanwhile needs no cover.
    Cover { path: CString, cover: Cover },
}

impl Operation {
    pub(crate) fn path(&self) -> &CString {
        match self {
            Self::Directory { path, .. }
            | Self::Link { path, .. }
            | Self::File { path, .. }
            | Self::Temporary { path, .. }
            | Self::Processes { path }
            | Self::Attach { path, .. }
            | Self::Cover { path, .. } => path,
        }
    }
}

/// C strings, and the null-terminated list of pointers to them that `execve` takes.
#[derive(Debug)]
pub(crate) struct Strings {
    pointers: Vec<*const libc::c_char>,
    // Owns what `pointers` points to; a moved `CString` keeps its heap address.
    texts: Vec<CString>,
}

// SAFETY: the pointers lead to memory that this value owns and never changes.
#[expect(unsafe_code, reason = "pointers are not sent between threads unless one says that it is sound")]
unsafe impl Send for Strings {}

impl Strings {
    pub(crate) fn new(strings: Vec<CString>) -> Self {
        let pointers = strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect();
        Self { pointers, texts: strings }
    }

    pub(crate) fn texts(&self) -> &[CString] {
        &self.texts
    }

    pub(crate) fn as_ptr(&self) -> *const *const libc::c_char {
        self.pointers.as_ptr()
    }
}

/// A program to execute.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) directory: CString,
    /// Paths to try, in order.
    pub(crate) programs: Vec<CString>,
    pub(crate) arguments: Strings,
    pub(crate) environment: Strings,
}

/// When it is known which program is executed.
#[derive(Debug)]
pub(crate) enum Invocation {
    /// Now.
    Given(Program),
    /// When a command arrives.
    Awaited(Mailbox),
}

/// Everything for one start.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Namespaces to clone into.
    pub(crate) namespaces: u64,
    /// The network to enter first.
    pub(crate) network: Option<NetworkSpace>,
    /// Size of the root's own files.
    pub(crate) root_size: CString,
    /// Text for `uid_map` and `gid_map`.
    pub(crate) user_map: Vec<u8>,
    pub(crate) group_map: Vec<u8>,
    /// Opened `cgroup.procs` files: writing joins.
    pub(crate) cgroups: Vec<OwnedFd>,
    pub(crate) sources: Vec<Source>,
    /// Room for the opened sources, one place for each.
    pub(crate) trees: Vec<Option<OwnedFd>>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) limits: Vec<(rustix::process::Resource, u64)>,
    pub(crate) landlock: Option<landlock::Rules>,
    pub(crate) filter: Arc<[Instruction]>,
    pub(crate) invocation: Invocation,
    /// Numbers of the descriptors that init needs after the program was started, in ascending order.
    pub(crate) kept_by_init: Vec<u32>,
}

/// The things of a plan that a failure can name.
#[derive(Debug, Default)]
pub(crate) struct Names<'a> {
    pub(crate) sources: &'a [Source],
    pub(crate) operations: &'a [Operation],
    pub(crate) rules: &'a [landlock::Rule],
}

impl Plan {
    pub(crate) fn names(&self) -> Names<'_> {
        let rules = self.landlock.as_ref().map(|landlock| landlock.rules.as_slice()).unwrap_or_default();
        Names { sources: &self.sources, operations: &self.operations, rules }
    }
}

/// A C string of a text, or which text has a zero byte.
pub(crate) fn c_string(text: impl AsRef<OsStr>, what: &'static str) -> Result<CString, Error> {
    CString::new(text.as_ref().as_bytes()).map_err(|_| Error::ZeroByte { what })
}

/// A path relative to the new root.
pub(crate) fn in_root(path: &Path) -> Result<CString, Error> {
    c_string(path.strip_prefix("/").unwrap_or(path), "a path")
}
