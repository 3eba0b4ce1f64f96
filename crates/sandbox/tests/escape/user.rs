//! The same attacks for an ordinary user.

use std::{io, os::unix::process::CommandExt, ptr};

use crate::support::launchers;

/// Some user without rights.
const NOBODY: u32 = 65534;

/// Runs the other tests of this executable once more, as another user.
#[test]
fn all_attacks_are_refused_for_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() || launchers().is_empty() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let tests = directory.path().join("tests");
    fs_err::copy(std::env::current_exe().unwrap(), &tests).unwrap();
    std::os::unix::fs::chown(directory.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = std::process::Command::new(&tests);
    // SAFETY: system calls only.
    unsafe { command.pre_exec(become_nobody) };
    let tried = command
        .args(["--test-threads=2", "--skip", "all_attacks_are_refused_for_an_ordinary_user"])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", directory.path())
        .env("TMPDIR", directory.path())
        .current_dir(directory.path())
        .output()
        .unwrap();
    let (out, error) = (String::from_utf8_lossy(&tried.stdout), String::from_utf8_lossy(&tried.stderr));
    assert!(tried.status.success(), "{out}{error}");
    println!("{out}");
}

/// Gives up all rights, with a device for tunnels that everybody may open, as usual systems have it.
fn become_nobody() -> io::Result<()> {
    let check = |result: libc::c_int| if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) };
    let (none, tunnel) = (ptr::null(), c"/dev/net/tun".as_ptr());
    // SAFETY: all texts are C strings; what must be null is.
    unsafe {
        if libc::access(tunnel, libc::F_OK) == 0 {
            check(libc::unshare(libc::CLONE_NEWNS))?;
            check(libc::mount(none, c"/".as_ptr(), none, libc::MS_REC | libc::MS_PRIVATE, ptr::null()))?;
            check(libc::mount(
                c"tmpfs".as_ptr(),
                c"/dev/net".as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                c"mode=0755".as_ptr().cast(),
            ))?;
            check(libc::mknod(tunnel, libc::S_IFCHR | 0o666, libc::makedev(10, 200)))?;
            check(libc::chmod(tunnel, 0o666))?;
        }
        check(libc::setgroups(0, ptr::null()))?;
        check(libc::setresgid(NOBODY, NOBODY, NOBODY))?;
        check(libc::setresuid(NOBODY, NOBODY, NOBODY))
    }
}
