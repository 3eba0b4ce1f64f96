//! The same attacks for an ordinary user.

use std::os::unix::process::CommandExt;

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
    let tried = std::process::Command::new(&tests)
        .args(["--test-threads=2", "--skip", "all_attacks_are_refused_for_an_ordinary_user"])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", directory.path())
        .env("TMPDIR", directory.path())
        .current_dir(directory.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let (out, error) = (String::from_utf8_lossy(&tried.stdout), String::from_utf8_lossy(&tried.stderr));
    assert!(tried.status.success(), "{out}{error}");
    println!("{out}");
}
