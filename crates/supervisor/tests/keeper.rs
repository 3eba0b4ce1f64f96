//! The keeper, with shells as supervisors. One test, because signals are those of the whole process.

#![expect(clippy::unwrap_used, reason = "all of it is test code")]

use std::{ffi::OsString, path::Path, time::Duration};

use masque_sandbox::service::ServiceCommand;
use masque_supervisor::keeper::keep;
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::{Signal, getpid, kill_process},
};

/// Only against hanging.
const GUARD: Duration = Duration::from_secs(60);

fn shell(line: &str) -> Vec<OsString> {
    ["/bin/sh", "-c", line].map(OsString::from).to_vec()
}

async fn kept(directory: &Path, first: &str, again: &str) -> i32 {
    let mut command = ServiceCommand::new(shell(first), directory);
    command.environment.insert("PATH".into(), "/usr/bin:/bin".into());
    tokio::time::timeout(GUARD, keep(command, shell(again))).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_supervisor_is_started_again_until_it_ends_well_or_is_told_to() {
    let root = tempfile::tempdir().unwrap();
    let said = |name: &str| fs_err::read_to_string(root.path().join(name)).unwrap_or_default();
    // One that cannot start at all.
    assert_eq!(kept(root.path(), "exit 3", "echo again >> never").await, 3);
    assert_eq!(said("never"), "");
    // One that was killed, and whose successors cannot start at first.
    let again = "echo again >> tries; test $(wc -l < tries) -ge 3 || exit 4";
    assert_eq!(kept(root.path(), "kill -9 $$", again).await, 0);
    assert_eq!(said("tries"), "again\nagain\nagain\n");
    // One that is told to end before it listens.
    mknodat(CWD, root.path().join("gate"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let slow = "touch begun; read line < gate; trap 'echo told >> told; exit 0' TERM; while :; do sleep 0.01; done";
    let told = async {
        while !root.path().join("begun").exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        kill_process(getpid(), Signal::TERM).unwrap();
        let gate = root.path().join("gate");
        tokio::task::spawn_blocking(move || fs_err::write(gate, "go\n").unwrap()).await.unwrap();
    };
    let (code, ()) = tokio::join!(kept(root.path(), slow, "echo killed >> killed"), told);
    assert_eq!((code, said("told"), said("killed")), (0, "told\n".to_owned(), String::new()));
    // One that is killed, whose successor cannot start, and that is not wanted any more.
    let dies = async {
        while said("dies").lines().count() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        kill_process(getpid(), Signal::TERM).unwrap();
    };
    let (code, ()) = tokio::join!(kept(root.path(), "kill -9 $$", "echo dies >> dies; exit 5"), dies);
    assert_eq!(code, 5);
}
