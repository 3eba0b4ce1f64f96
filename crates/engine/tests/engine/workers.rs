//! Several workers and one run: who drives it, what a lease protects, and what a worker may still begin.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::support::{
    FnModel, ScriptModel, TestEnvironments, World, answer_one, ask_rule, create, drive, engine, journal,
    open_questions, options, persona, real_time, run_spec,
};
use futures::future::{Either, select};
use masque_engine::{
    driver::{Driven, Engine},
    state::{Outcome, Waits},
};
use masque_store::{Claim, ClaimRequest, FaultPoint, Faults, Store};
use masque_testkit::on_both_databases;
use masque_types::{BoxFuture, approval::Answer, event::EventBody, id::RunId, time::Timestamp, tool::Invocation};
use serde_json::json;
use tokio::sync::Semaphore;

fn completed(driven: &Driven) -> bool {
    matches!(driven, Driven::Ended(Outcome::Completed { .. }))
}

on_both_databases! {
    /// Each worker has a store of its own, like two programs. The winner's effect waits until the loser was refused.
    async fn of_two_workers_that_race_one_drives(database: &TestDatabase) {
        let (one, two) = (database.open().await, database.open().await);
        for round in 0..50 {
            let (world, refused) = (Arc::new(Mutex::new(World::default())), Arc::new(Semaphore::new(0)));
            let run = create(&one, run_spec(), persona()).await;
            let worker = |store, name| {
                let turns = vec![vec![("mail", json!({}))], vec![("patch", json!({}))]];
                let mut engine = engine(store, ScriptModel::new(turns), &world, name);
                let mut environments = TestEnvironments::new(&world);
                let refused = Arc::clone(&refused);
                environments.before_call = Arc::new(move |_| {
                    let refused = Arc::clone(&refused);
                    Box::pin(async move { drop(refused.acquire().await.unwrap()) })
                });
                engine.environments = Arc::new(environments);
                engine
            };
            let (first, second) = (worker(&one, "w1"), worker(&two, "w2"));
            let (loser, winner) = match select(
                Box::pin(drive(&first, run, None)),
                Box::pin(drive(&second, run, None)),
            ).await {
                Either::Left((driven, other)) => (driven, other),
                Either::Right((driven, other)) => (driven, other),
            };
            assert!(matches!(loser.unwrap(), Driven::HeldBy { .. }), "round {round}: the lease is held");
            refused.add_permits(1);
            let ended = winner.await.unwrap();
            assert!(completed(&ended), "round {round}: {ended:?}");
            let counts: Vec<u32> = {
                let world = world.lock().unwrap();
                world.mails.values().chain(world.patches.values()).copied().collect()
            };
            assert_eq!(counts, [1, 1], "round {round}: each effect once");
            let epochs: Vec<_> = journal(&one, run).await.iter().skip(2).map(|event| event.epoch).collect();
            assert!(epochs.iter().all(|epoch| *epoch == epochs[0]), "round {round}: one worker wrote: {epochs:?}");
            assert_eq!(one.lease(run).await.unwrap(), None, "round {round}: the lease was given back");
        }
        one.close().await.unwrap();
        two.close().await.unwrap();
    }
}

/// The tool ends when five leases have passed. Leases are measured by a clock three times slower than the timer of the
/// heartbeats, so that a busy machine does not look like a dead worker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_far_longer_than_the_lease_is_not_doubled() {
    let begun = real_time();
    let slow_time = move || Timestamp(begun.0 + (real_time().0 - begun.0) / 3);
    let lease = Duration::from_millis(200);
    let (store, world) = (Store::in_memory().await.unwrap(), Arc::new(Mutex::new(World::default())));
    let run = create(&store, run_spec(), persona()).await;
    let enough = Arc::new(Semaphore::new(0));
    let worker = |name: &str| {
        let mut environments = TestEnvironments::new(&world);
        let enough = Arc::clone(&enough);
        environments.before_call = Arc::new(move |_| {
            let enough = Arc::clone(&enough);
            Box::pin(async move { drop(enough.acquire().await.unwrap()) })
        });
        let model = ScriptModel::new(vec![vec![("mail", json!({}))]]);
        Engine {
            environments: Arc::new(environments),
            clock: Arc::new(slow_time),
            lease,
            ..engine(&store, model, &world, name)
        }
    };
    let (patient, eager) = (worker("w1"), worker("w2"));
    let tries = async {
        let mut tries = 0;
        while store.lease(run).await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        while slow_time().since(begun) < 5 * lease {
            let driven = drive(&eager, run, None).await.unwrap();
            assert!(matches!(&driven, Driven::HeldBy { worker, .. } if worker == "w1"), "{driven:?}");
            tries += 1;
            tokio::task::yield_now().await;
        }
        enough.add_permits(1);
        tries
    };
    let (driven, tries) = futures::join!(drive(&patient, run, None), tries);
    assert!(completed(&driven.unwrap()));
    assert!(tries > 1);
    assert_eq!(world.lock().unwrap().mails.values().copied().collect::<Vec<_>>(), [1]);
    let recovered = journal(&store, run).await.iter().any(|event| matches!(event.body, EventBody::Recovered { .. }));
    assert!(!recovered, "nobody took over");
}

const HOUR: Duration = Duration::from_secs(3600);

/// A run whose worker finds its lease at a certain age when it is about to call a tool. The lease lasts an hour, so that
/// no heartbeat comes while the test runs.
struct AgedLease {
    store: Store,
    run: RunId,
    world: Arc<Mutex<World>>,
    clock: Arc<AtomicI64>,
    /// What was left of the lease when the tool was called.
    left: Arc<Mutex<Vec<Duration>>>,
}

impl AgedLease {
    async fn new() -> Self {
        let store = Store::in_memory().await.unwrap();
        let run = create(&store, run_spec(), persona()).await;
        let clock = Arc::new(AtomicI64::new(1_000_000));
        Self { store, run, world: Arc::default(), clock, left: Arc::default() }
    }

    /// An engine whose model answers with one call after the lease has aged, and whose tool looks at the lease.
    fn engine(&self, tool: &'static str, age: Duration, at: Aging) -> Engine {
        let script = ScriptModel::new(vec![vec![(tool, json!({}))]]);
        let ages = |when: Aging| {
            let (clock, store, run) = (Arc::clone(&self.clock), self.store.clone(), self.run);
            move || -> BoxFuture<'static, ()> {
                let (clock, store) = (Arc::clone(&clock), store.clone());
                Box::pin(async move {
                    if at == when {
                        let now = Timestamp(clock.load(Ordering::SeqCst)).plus(age);
                        clock.store(now.0, Ordering::SeqCst);
                        if age > HOUR {
                            take_over(&store, run, now).await;
                        }
                    }
                })
            }
        };
        let (in_model, in_activation) = (ages(Aging::InModelCall), ages(Aging::InActivation));
        let model = FnModel(move |request: &masque_types::model::ModelRequest| {
            let (reply, aged) = (script.reply(request), (request.step == 1).then(&in_model));
            Box::pin(async move {
                if let Some(aged) = aged {
                    aged.await;
                }
                Ok(reply)
            }) as BoxFuture<'static, _>
        });
        let mut environments = TestEnvironments::new(&self.world);
        environments.before_activation = Arc::new(move |()| in_activation());
        environments.before_call = self.measure();
        let clock = Arc::clone(&self.clock);
        Engine {
            environments: Arc::new(environments),
            clock: Arc::new(move || Timestamp(clock.load(Ordering::SeqCst))),
            lease: HOUR,
            ..engine(&self.store, Arc::new(model), &self.world, "w1")
        }
    }

    fn measure(&self) -> crate::support::Before<Invocation> {
        let (store, run) = (self.store.clone(), self.run);
        let (clock, left) = (Arc::clone(&self.clock), Arc::clone(&self.left));
        Arc::new(move |_| {
            let (store, clock, left) = (store.clone(), Arc::clone(&clock), Arc::clone(&left));
            Box::pin(async move {
                let until = store.lease(run).await.unwrap().unwrap().until;
                left.lock().unwrap().push(until.since(Timestamp(clock.load(Ordering::SeqCst))));
            })
        })
    }

    fn effects(&self) -> usize {
        let world = self.world.lock().unwrap();
        world.mails.len() + world.notes.len() + world.patches.len() + world.reads as usize
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aging {
    InModelCall,
    InActivation,
}

async fn take_over(store: &Store, run: RunId, now: Timestamp) {
    let request = ClaimRequest { worker: "w2", now, until: now.plus(HOUR), dead_worker: None };
    assert!(matches!(store.claim(run, request).await.unwrap(), Claim::Granted { .. }));
}

/// A heartbeat comes every third of a lease, so two of them are two thirds.
#[tokio::test]
async fn an_effect_is_not_begun_with_less_than_two_heartbeats_of_lease_left() {
    for tool in ["mail", "note", "patch"] {
        for (age, left) in [(HOUR / 3, 2 * HOUR / 3), (HOUR / 3 + Duration::from_millis(1), HOUR), (HOUR, HOUR)] {
            let case = AgedLease::new().await;
            let driven = drive(&case.engine(tool, age, Aging::InModelCall), case.run, None).await.unwrap();
            assert!(completed(&driven), "{driven:?}");
            assert_eq!(*case.left.lock().unwrap(), [left], "{tool} after {age:?}");
        }
    }
}

#[tokio::test]
async fn an_effect_is_not_begun_when_the_lease_went_to_another_worker() {
    let age = HOUR + Duration::from_millis(1);
    for tool in ["mail", "note", "patch"] {
        let case = AgedLease::new().await;
        let driven = drive(&case.engine(tool, age, Aging::InModelCall), case.run, None).await.unwrap();
        assert_eq!((driven, case.effects()), (Driven::LeaseLost, 0), "{tool}");
        assert_eq!(case.world.lock().unwrap().active, 0);

        // The environment is set up again for a call that was approved; meanwhile the lease is lost.
        let mut case = AgedLease::new().await;
        let mut spec = run_spec();
        spec.policy.rules = vec![ask_rule(tool)];
        case.run = create(&case.store, spec, persona()).await;
        let unaged = case.engine(tool, Duration::ZERO, Aging::InActivation);
        assert_eq!(drive(&unaged, case.run, None).await.unwrap(), Driven::Waiting(Waits::Answers));
        let question = open_questions(&case.store, case.run).await.remove(0);
        answer_one(&case.store, &question, Answer::Approve).await;
        let driven = drive(&case.engine(tool, age, Aging::InActivation), case.run, None).await.unwrap();
        assert_eq!((driven, case.effects()), (Driven::LeaseLost, 0), "{tool}");
    }
}

/// A worker that dies between the commits of two commands leaves the second one for its successor.
#[tokio::test]
async fn a_command_is_consumed_by_the_commit_that_holds_its_meaning() {
    let faults = Faults::new();
    let store = Store::in_memory_with_faults(faults.clone()).await.unwrap();
    let world = Arc::new(Mutex::new(World::default()));
    let mut spec = run_spec();
    spec.policy.rules = vec![ask_rule("note")];
    let run = create(&store, spec, persona()).await;
    let turns = vec![vec![("note", json!({ "n": 1 })), ("note", json!({ "n": 2 }))]];
    let engine = engine(&store, ScriptModel::new(turns), &world, "w1");
    assert_eq!(drive(&engine, run, None).await.unwrap(), Driven::Waiting(Waits::Answers));
    for question in open_questions(&store, run).await {
        answer_one(&store, &question, Answer::Deny { reason: None }).await;
    }
    // After the claim: the first answer, then the second one.
    faults.fail(faults.commits() + 3, FaultPoint::BeforeCommit);
    drive(&engine, run, None).await.unwrap_err();
    let driven = engine.drive(run, options()).await.unwrap();
    assert!(completed(&driven), "both answers count: {driven:?}");
}
