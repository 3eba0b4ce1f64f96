//! A sandbox that was started ahead, and whether it still is what a start would make now.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, StatxFlags};

use crate::{
    assemble::Root,
    plan::{Operation, Plan, Source},
    start::Waiting,
};

/// Which file stands at a path: its device, number, and when it was made.
type Stamp = Option<(u32, u32, u64, i64, u32)>;

/// A sandbox that waits for its command.
#[derive(Debug)]
pub(crate) struct Warm {
    pub(crate) waiting: Waiting,
    pub(crate) device: Option<OwnedFd>,
    made_of: Made,
}

/// What a root is made of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Made {
    sources: Vec<Source>,
    operations: Vec<Operation>,
    /// The files behind the sources and covers. A mount stays on the file on which it was put: when another one is
    /// moved to its path, the kernel takes the mount away, and with it the protection.
    stamps: Vec<Stamp>,
}

impl Made {
    /// The files of a root as they are now.
    pub(crate) fn stamps(root: &Root) -> Vec<Stamp> {
        let sources = root.sources.iter().map(|source| stamp(&rustix::fs::CWD, &source.path));
        let slash =
            rustix::fs::open(c"/", rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty());
        let covers = root.operations.iter().filter_map(|operation| match operation {
            Operation::Cover { path, .. } if !path.as_bytes().starts_with(b"proc/") => {
                Some(slash.as_ref().ok().and_then(|slash| stamp(slash, path)))
            }
            _ => None,
        });
        sources.chain(covers).collect()
    }
}

impl Warm {
    pub(crate) fn new(waiting: Waiting, device: Option<OwnedFd>, plan: Plan, stamps: Vec<Stamp>) -> Self {
        Self { waiting, device, made_of: Made { sources: plan.sources, operations: plan.operations, stamps } }
    }

    /// Whether a root that is assembled now is the same: the same paths are shown, hidden and protected, and the same
    /// files stand there.
    pub(crate) fn is_current(&self, root: Root) -> bool {
        let stamps = Made::stamps(&root);
        self.made_of == Made { sources: root.sources, operations: root.operations, stamps }
    }
}

fn stamp(at: &impl std::os::fd::AsFd, path: &std::ffi::CStr) -> Stamp {
    let wanted = StatxFlags::INO | StatxFlags::BTIME | StatxFlags::CTIME;
    let found = rustix::fs::statx(at, path, AtFlags::SYMLINK_NOFOLLOW, wanted).ok()?;
    // Where a file system does not know when a file was made, any change of it counts.
    let made = if found.stx_mask & StatxFlags::BTIME.bits() == 0 { found.stx_ctime } else { found.stx_btime };
    Some((found.stx_dev_major, found.stx_dev_minor, found.stx_ino, made.tv_sec, made.tv_nsec))
}
