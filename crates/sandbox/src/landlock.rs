//! Landlock, the second layer: which rights this kernel knows, and the rules of a sandbox.
//!
//! Leaves out the confinement itself, which happens in the child. The rules repeat what the assembled root already
//! allows: they hold if a mount should ever be wrong. They cannot subtract, so hidden paths are the mounts' work.
//! Raw numbers instead of the `landlock` crate, which allocates and so cannot run in the cloned child, where alone the
//! sandbox's own file systems can be opened.

use std::ffi::CString;

use crate::{profile::Network, sys};

const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIRECTORY: u64 = 1 << 3;
const TRUNCATE: u64 = 1 << 14;
const DEVICE_CONTROL: u64 = 1 << 15;
/// Character and block devices are never made.
const MAKE_DEVICES: u64 = (1 << 6) | (1 << 11);
/// Rights that a file has; the others are a directory's.
const OF_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | DEVICE_CONTROL;

/// What a rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Listing directories.
    List,
    /// Reading and executing.
    Read,
    /// Everything but making devices.
    Write,
}

/// Whether a rule is about a file or a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
}

/// Rights beneath one path of the sandbox.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) path: CString,
    pub(crate) rights: u64,
}

/// The rule set of one sandbox.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) handled: sys::LandlockRights,
    /// How many bytes of `handled` this kernel knows.
    pub(crate) size: usize,
    pub(crate) rules: Vec<Rule>,
}

impl Rules {
    /// An empty rule set for a kernel with this version of Landlock: nothing is allowed.
    pub(crate) fn new(version: u32, network: &Network) -> Self {
        let files = match version {
            0 | 1 => (1 << 13) - 1,
            2 => (1 << 14) - 1,
            3 | 4 => (1 << 15) - 1,
            _ => (1 << 16) - 1,
        };
        let tcp = if version >= 4 && !network.has_sockets() { 0b11 } else { 0 };
        let scopes = if version >= 6 { 0b11 } else { 0 };
        let size = match version {
            0..=3 => 8,
            4 | 5 => 16,
            _ => 24,
        };
        Self { handled: sys::LandlockRights { files, network: tcp, scopes }, size, rules: Vec::new() }
    }

    /// Allows access beneath a path.
    pub(crate) fn allow(&mut self, path: CString, access: Access, kind: Kind) {
        let wanted = match access {
            Access::List => READ_DIRECTORY,
            Access::Read => EXECUTE | READ_FILE | READ_DIRECTORY,
            Access::Write => !MAKE_DEVICES,
        };
        let possible = if kind == Kind::File { OF_FILES } else { u64::MAX };
        self.rules.push(Rule { path, rights: wanted & possible & self.handled.files });
    }
}
