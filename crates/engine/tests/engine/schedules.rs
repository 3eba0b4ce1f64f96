//! Thousands of seeded fault schedules: a commit fails, or succeeds without its writer hearing of it, at any point of
//! a run; whatever happened, resuming converges and no `once` effect happens twice or is lost.

use std::sync::{Arc, Mutex};

use crate::support::{ScriptModel, Turn, World, ask_rule, drive, engine, persona, run_spec, try_create};
use masque_engine::{
    driver::Driven,
    replay::replay,
    state::{Outcome, Waits},
};
use masque_store::{ApprovalFilter, Faults, Store};
use masque_types::{
    actor::{Actor, Channel},
    approval::{Answer, Question, Ruling},
    id::{CommandId, RunId},
    run::Command,
    time::Timestamp,
};
use serde_json::json;

const SCHEDULES: u64 = 10_000;
/// Commits of an undisturbed run, roughly: faults are spread over them.
const COMMITS: u64 = 24;

fn turns() -> Vec<Turn> {
    vec![
        vec![("read", json!({ "n": 1 })), ("note", json!({ "n": 1 })), ("mail", json!({ "n": 1 }))],
        vec![("patch", json!({})), ("mail", json!({ "n": 2 }))],
    ]
}

async fn one_schedule(seed: u64) {
    let faults = Faults::seeded(seed, COMMITS);
    let store = Store::in_memory_with_faults(faults).await.unwrap();
    let world = Arc::new(Mutex::new(World::default()));
    let run = RunId::from_uuid(uuid::Uuid::now_v7());
    let mut spec = run_spec();
    spec.policy.rules = vec![ask_rule("note")];
    while store.run(run).await.unwrap().is_none() {
        let _ = try_create(&store, run, spec.clone(), persona()).await;
    }
    let engine = engine(&store, ScriptModel::new(turns()), &world, "worker");
    loop {
        // An error is a crash of this worker; the same name makes its own lease no obstacle.
        match drive(&engine, run, Some("worker")).await {
            Ok(Driven::Ended(outcome)) => {
                assert!(matches!(outcome, Outcome::Completed { .. }), "seed {seed}: {outcome:?}");
                break;
            }
            Ok(Driven::Waiting(Waits::Answers)) => answer_all(&store, run, &world).await,
            Ok(other) => panic!("seed {seed}: {other:?}"),
            Err(_) => {}
        }
    }
    check(&store, run, &world, seed).await;
    store.close().await.unwrap();
}

async fn answer_all(store: &Store, run: RunId, world: &Arc<Mutex<World>>) {
    let filter = ApprovalFilter { open_only: true, run: Some(run), limit: 10 };
    for approval in store.approvals(&filter).await.unwrap() {
        let happened = world.lock().unwrap().mails.contains_key(&approval.call_id);
        let answer = match approval.question {
            Question::InDoubt { .. } if happened => Answer::Happened { result: None },
            Question::InDoubt { .. } => Answer::Retry,
            _ => Answer::Approve,
        };
        let ruling = Ruling { answer, by: Actor::System, channel: Channel::Cli };
        let command = Command::Answer { approval: approval.id, digest: approval.digest, ruling };
        // A lost answer is asked for again.
        let _ = store.send(CommandId::from_uuid(uuid::Uuid::now_v7()), run, &command, Timestamp(1)).await;
    }
}

async fn check(store: &Store, run: RunId, world: &Arc<Mutex<World>>, seed: u64) {
    {
        let world = world.lock().unwrap();
        assert_eq!(world.mails.len(), 2, "seed {seed}: a mail is lost");
        assert!(world.mails.values().all(|count| *count == 1), "seed {seed}: {:?}", world.mails);
        assert_eq!((world.notes.len(), world.patches.len()), (1, 1), "seed {seed}");
        assert!(world.patches.values().all(|count| *count == 1), "seed {seed}");
        assert_eq!(world.active, 0, "seed {seed}: an environment was left open");
    }
    let events = store.journal(run, 0).await.unwrap();
    assert!(events.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1), "seed {seed}");
    assert_eq!(replay(run, &events).unwrap().differs_at, None, "seed {seed}");
}

#[test]
fn ten_thousand_schedules_converge() {
    let next = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if seed >= SCHEDULES {
                        break;
                    }
                    runtime.block_on(one_schedule(seed));
                }
            });
        }
    });
}
