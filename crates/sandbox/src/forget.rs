//! Gives the memory of the launcher back, of which init is a copy: init needs its own stack only.
//!
//! So a sandbox costs little memory however large the launcher is and whatever it changes later, and the launcher's
//! secrets do not stay in a process that belongs to a sandbox. System calls on the stack only, as in [`crate::inside`].

use rustix::fs::{Mode, OFlags};

use crate::sys;

/// The longest line that is read as a whole; what is longer is a path, which comes last.
const ROOM: usize = 1024;

/// Empties all private memory that is not part of a file, except where this thread's stack and local variables are.
/// Best effort: what stays is only a copy that nobody can read.
pub(crate) fn forget_launcher() {
    let Ok(maps) = rustix::fs::open(c"/proc/self/maps", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else {
        return;
    };
    let mut room = [0_u8; ROOM];
    let kept = [room.as_ptr().addr(), sys::thread_local_address()];
    let (mut filled, mut within_line) = (0, false);
    loop {
        let Some(free) = room.get_mut(filled..) else { return };
        match rustix::io::read(&maps, free) {
            Ok(read) if read > 0 => filled += read,
            _ => return,
        }
        let mut start = 0;
        while let Some(text) = room.get(start..filled)
            && let Some(length) = text.iter().position(|byte| *byte == b'\n')
        {
            if !within_line
                && let Some((from, to)) = text.get(..length).and_then(anonymous)
                && !kept.iter().any(|address| (from..to).contains(address))
            {
                sys::empty_memory(from, to - from);
            }
            within_line = false;
            start += length + 1;
        }
        room.copy_within(start..filled, 0);
        filled -= start;
        if filled == ROOM {
            // A long path: its line was not used, and its rest is no line.
            (filled, within_line) = (0, true);
        }
    }
}

/// The addresses of a line of `/proc/self/maps` that describes private, writable memory without a file.
fn anonymous(line: &[u8]) -> Option<(usize, usize)> {
    let mut fields = line.split(|byte| *byte == b' ').filter(|field| !field.is_empty());
    let mut addresses = fields.next()?.split(|byte| *byte == b'-');
    let (from, to) = (number(addresses.next()?)?, number(addresses.next()?)?);
    let access = fields.next()?;
    let file = fields.nth(2)?;
    (access == b"rw-p" && file == b"0" && from < to).then_some((from, to))
}

fn number(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0_usize, |value, digit| {
        Some(value.checked_mul(16)? + usize::try_from(char::from(*digit).to_digit(16)?).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::anonymous;

    #[test]
    fn private_writable_memory_without_a_file_is_found() {
        let line = |text: &str| anonymous(text.as_bytes());
        assert_eq!(line("7f00-8000 rw-p 00000000 00:00 0 "), Some((0x7f00, 0x8000)));
        assert_eq!(line("7f00-8000 rw-p 00000000 00:00 0          [heap]"), Some((0x7f00, 0x8000)));
        assert_eq!(line("7f00-8000 rw-p 00001000 fe:01 123 /usr/lib/x.so"), None);
        assert_eq!(line("7f00-8000 r--p 00000000 00:00 0 [vvar]"), None);
        assert_eq!(line("7f00-8000 rw-s 00000000 00:00 0 "), None);
        assert_eq!(line("8000-7f00 rw-p 00000000 00:00 0 "), None);
        assert_eq!(line("rw-p"), None);
        assert_eq!(line("ffffffffffffffffff-0 rw-p 00000000 00:00 0 "), None);
    }
}
