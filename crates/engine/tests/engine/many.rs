//! Two hundred runs at once in one process: all finish, memory stays bounded, and nothing is left behind.
//!
//! Memory is measured in a process of its own, this test binary started again, because the other tests use some too.

use std::{
    process::{Command as Process, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::{Answered, FnModel, ScriptModel, World, create, drive, engine, persona, run_spec};
use masque_engine::{driver::Driven, state::Outcome};
use masque_store::Store;
use masque_types::{BoxFuture, model::ModelRequest};
use serde_json::json;
use tokio::{sync::Barrier, task::JoinSet};

const RUNS: usize = 200;
const TURNS: u32 = 8;
/// A conversation of about 70 kB, its journal and its requests, several times over, for each run.
const BYTES_PER_RUN: usize = 512 * 1024;
const VARIABLE: &str = "MASQUE_TEST_MANY";

fn resident_bytes() -> usize {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// Does nothing when the test binary runs as usual.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_with_many_runs() {
    #[expect(clippy::disallowed_methods, reason = "the process gets its orders by a variable")]
    let Ok(_) = std::env::var(VARIABLE) else { return };
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open_sqlite(&directory.path().join("masque.db")).await.unwrap();
    // One run by itself, so that what every process needs once is not counted.
    many_runs(&store, 1).await;
    let before = resident_bytes();
    let largest = many_runs(&store, RUNS).await;
    let grown = largest.saturating_sub(before);
    assert!(grown <= RUNS * BYTES_PER_RUN, "{RUNS} runs took {} KiB each", grown / RUNS / 1024);
    // A task that ended is counted for a moment longer.
    let metrics = tokio::runtime::Handle::current().metrics();
    let none_left = async {
        while metrics.num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), none_left).await.unwrap();
    store.close().await.unwrap();
}

/// Drives runs that are all in their last step together; returns the memory used then.
async fn many_runs(store: &Store, runs: usize) -> usize {
    let world = Arc::new(Mutex::new(World::default()));
    let (together, measured) = (Arc::new(Barrier::new(runs + 1)), Arc::new(Barrier::new(runs + 1)));
    let mut tasks = JoinSet::new();
    for _ in 0..runs {
        let run = create(store, run_spec(), persona()).await;
        let turns = (0..TURNS).map(|n| vec![("read", json!({ "n": n, "pad": "x".repeat(4_000) }))]);
        let script = ScriptModel::new(turns.collect());
        let (together, measured) = (Arc::clone(&together), Arc::clone(&measured));
        let model = FnModel(move |request: &ModelRequest| {
            let (reply, last) = (script.reply(request), request.step == TURNS + 1);
            let (together, measured) = (Arc::clone(&together), Arc::clone(&measured));
            Box::pin(async move {
                if last {
                    together.wait().await;
                    measured.wait().await;
                }
                Ok(reply)
            }) as BoxFuture<'static, Answered>
        });
        let engine = engine(store, Arc::new(model), &world, "w1");
        tasks.spawn(async move { drive(&engine, run, None).await });
    }
    together.wait().await;
    let largest = resident_bytes();
    measured.wait().await;
    while let Some(driven) = tasks.join_next().await {
        let driven = driven.unwrap().unwrap();
        assert!(matches!(driven, Driven::Ended(Outcome::Completed { .. })), "{driven:?}");
    }
    let world = world.lock().unwrap();
    assert_eq!((world.reads as usize, world.active), (runs * TURNS as usize, 0));
    largest
}

#[test]
fn two_hundred_runs_at_once_stay_within_bounds() {
    #[expect(clippy::disallowed_methods, reason = "memory is measured in a process of its own")]
    let mut process = Process::new(std::env::current_exe().unwrap());
    let status = process
        .args(["--exact", "many::the_process_with_many_runs", "--nocapture"])
        .env(VARIABLE, "1")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}
