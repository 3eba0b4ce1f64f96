//! [`Mark`]: a variable by which the processes of one start are found, also by a later supervisor.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use super::table::{self, ProcessTable};

/// A variable of the environment with a value that nothing else has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Name of the variable.
    pub name: OsString,
    /// Its value.
    pub value: OsString,
}

/// A running process that has a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// Its number.
    pub process: u32,
    /// When it was started, in the kernel's ticks since the machine was.
    pub start_time: u64,
    /// The value of the mark.
    pub value: OsString,
    /// Whether it leads a session, as what was started does, and hardly anything that this starts.
    pub is_leader: bool,
}

/// All running processes with a mark of this name, oldest first. Those of other users are seen by root only.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn find_marked(name: &OsStr) -> io::Result<Vec<Marked>> {
    Ok(ProcessTable::read()?.marked(name))
}

impl ProcessTable {
    /// The running processes with a mark of this name, oldest first, as for [`find_marked`]. A program that overwrites
    /// its environment, or forbids to read it, has none.
    #[must_use]
    pub fn marked(&self, name: &OsStr) -> Vec<Marked> {
        let mut found: Vec<Marked> = self
            .running()
            .filter_map(|entry| {
                let value = value_of(&table::environment(entry.process)?, name)?;
                let is_leader = entry.session == entry.process;
                Some(Marked { process: entry.process, start_time: entry.start_time, value, is_leader })
            })
            .collect();
        found.sort_by_key(|marked| (marked.start_time, marked.process));
        found
    }
}

impl Mark {
    /// Whether a running process has it.
    pub(super) fn is_on(&self, process: u32) -> bool {
        table::environment(process).and_then(|environment| value_of(&environment, &self.name)).as_ref()
            == Some(&self.value)
    }
}

fn value_of(environment: &[u8], name: &OsStr) -> Option<OsString> {
    let mut entries = environment.split(|byte| *byte == 0);
    let value = entries.find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    Some(OsString::from_vec(value.to_vec()))
}
