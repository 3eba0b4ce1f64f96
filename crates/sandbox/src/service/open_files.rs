//! How many files this process may have open: as many as the kernel allows it, and its programs as many as it had before.
//!
//! Programs that use `select(2)` break with descriptors above 1023, so what a supervisor needs must not become theirs.

use std::{io, sync::OnceLock};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit that this process was started with, once that was raised.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Raises the number of files that this process may have open to the highest that it may raise it to. Programs that are
/// started afterwards get the limit from before, unless they are given one of their own.
///
/// # Errors
/// When the kernel refuses.
pub fn raise_open_files() -> io::Result<()> {
    let own = getrlimit(Resource::Nofile);
    if own.current == own.maximum {
        return Ok(());
    }
    BEFORE.get_or_init(|| own);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: own.maximum, ..own })?)
}

/// The limit that programs get who are given none.
pub(super) fn inherited() -> Option<Rlimit> {
    BEFORE.get().copied()
}
