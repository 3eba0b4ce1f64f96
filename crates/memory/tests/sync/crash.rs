//! A process that syncs is killed at any moment, again and again.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
    time::Duration,
};

use masque_store::Store;
use rand::Rng as _;

use crate::support::{World, remembered, spec, syncer};

const FILE: &str = "MASQUE_MEMORY_TEST_FILE";
const ROOT: &str = "MASQUE_MEMORY_TEST_ROOT";
const KILLS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "the test starts itself, to kill it")]
async fn killed_at_any_moment_the_next_scan_makes_it_whole() {
    let world = World::new();
    for round in 0..KILLS {
        for number in 0..400 {
            if rand::rng().random_bool(0.3) {
                world.write(&format!("{}/{number}.md", number % 9), format!("# In round {round}\n\nwords of {number}"));
            }
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--ignored", "--nocapture"])
            .env(FILE, world.database.file().unwrap())
            .env(ROOT, world.path(""))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        assert!(output.lines().any(|line| line.unwrap().contains("at work")), "round {round}: the child did not start");
        std::thread::sleep(Duration::from_millis(rand::rng().random_range(0..150)));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "round {round}: the child gave up by itself");
    }
    let mut syncer = world.syncer().await;
    syncer.scan().await.unwrap();
    assert_eq!(remembered(syncer.index().store()).await, world.rebuilt().await);
    syncer.index().store().clone().close().await.unwrap();
}

/// What is killed. Not a test by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the test above"]
#[expect(clippy::disallowed_methods, reason = "the test that starts this says where to work")]
async fn child() {
    let (Ok(file), Ok(root)) = (std::env::var(FILE), std::env::var(ROOT)) else { return };
    let store = Store::open_sqlite(file.as_ref()).await.unwrap();
    let mut syncer = syncer(store, spec(root.as_ref()));
    println!("at work");
    loop {
        syncer.scan().await.unwrap();
        // There is always something to do when the end comes.
        let touched = root.clone() + "/0/0.md";
        let _ = fs_err::write(&touched, rand::rng().random::<u64>().to_string());
    }
}
