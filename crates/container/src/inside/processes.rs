//! The processes of a container as `/proc` shows them, and the end of all that descend from one.

use std::collections::{HashMap, HashSet};

use rustix::process::{Pid, Signal};

/// Processes with their parents.
fn parents() -> HashMap<i32, i32> {
    let Ok(entries) = fs_err::read_dir("/proc") else { return HashMap::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers.filter_map(|number| Some((number, parent(number)?))).collect()
}

/// The parent of a process, unless it is gone.
fn parent(process: i32) -> Option<i32> {
    parent_in(&String::from_utf8_lossy(&fs_err::read(format!("/proc/{process}/stat")).ok()?))
}

/// The fourth field. The second one is a name in parentheses that may contain anything.
fn parent_in(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The children of this process.
pub(super) fn children() -> Vec<Pid> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    parents().into_iter().filter(|(_, parent)| *parent == own).filter_map(|(child, _)| Pid::from_raw(child)).collect()
}

/// Kills every process that descends from this one and is there now.
pub(super) fn kill_descendants() {
    let parents = parents();
    let mut known = HashSet::from([rustix::process::getpid().as_raw_nonzero().get()]);
    let mut before = 0;
    let mut found = Vec::new();
    while known.len() != before {
        before = known.len();
        for (process, parent) in &parents {
            if known.contains(parent) && known.insert(*process) {
                found.push(*process);
            }
        }
    }
    for process in found.into_iter().filter_map(Pid::from_raw) {
        // One that is gone meanwhile needs no signal.
        let _ = rustix::process::kill_process(process, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_parent_is_found_behind_a_hostile_name() {
        assert_eq!(super::parent_in("12 (a) R 1 (b) S 7 12 12 0"), Some(7));
        assert_eq!(super::parent_in("12 (a"), None);
    }
}
