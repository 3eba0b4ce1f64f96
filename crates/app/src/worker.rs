//! A worker's name, made so that another process on the same machine can tell whether the worker is still alive.

use std::path::Path;

/// The name of this process as a worker: boot, process namespace, process id, start time, and a number that is new
/// for each drive within the process.
pub(crate) fn own_name(serial: u64) -> Option<String> {
    let id = std::process::id();
    Some(format!("{}-{id}-{}-{serial}", machine()?, start_time(id)?))
}

/// Whether a worker of that name is certainly dead: it ran on this boot of this machine, in this process namespace,
/// and its process is gone. `false` when this cannot be known; then its lease has to run out.
pub(crate) fn is_dead(name: &str) -> bool {
    let mut parts = name.rsplitn(4, '-');
    let (_serial, start, id, place) = (parts.next(), parts.next(), parts.next(), parts.next());
    let (Some(start), Some(Ok(id)), Some(place)) = (start, id.map(str::parse::<u32>), place) else { return false };
    if machine().as_deref() != Some(place) {
        return false;
    }
    match start_time(id) {
        Some(now) => now != start,
        None => !is_other_users(id),
    }
}

/// Whether a process lives that belongs to someone else: then `/proc` may hide it.
fn is_other_users(id: u32) -> bool {
    let id = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
    id.is_some_and(|id| rustix::process::test_kill_process(id) == Err(rustix::io::Errno::PERM))
}

/// Process ids mean something only within one boot and one process namespace.
fn machine() -> Option<String> {
    let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs_err::read_link("/proc/self/ns/pid").ok()?;
    let number: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    Some(format!("{}-{number}", boot.split('-').next()?))
}

/// The 22nd field of `/proc/<id>/stat`: in ticks since boot. The second field may hold blanks and parentheses.
/// A zombie has ended.
fn start_time(id: u32) -> Option<String> {
    let stat = fs_err::read_to_string(Path::new("/proc").join(id.to_string()).join("stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_an_earlier_one_with_its_id_does_not() {
        let name = own_name(1).unwrap();
        assert!(!is_dead(&name));
        let mut parts: Vec<&str> = name.split('-').collect();
        let start = parts.len() - 2;
        parts[start] = "1";
        assert!(is_dead(&parts.join("-")));
        assert!(!is_dead("elsewhere-1-2-3-4"), "another machine's worker may live");
        assert!(!is_dead("nonsense"));
    }
}
