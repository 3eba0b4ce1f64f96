//! A clock that is set back while a run is driven.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::support::{
    ScriptModel, TestEnvironments, World, ask_rule, create, engine, journal, options, persona, real_time, run_spec,
};
use masque_engine::{
    driver::{DriveOptions, Driven, Engine, WhenWaiting},
    state::Outcome,
};
use masque_store::Store;
use masque_types::{
    cost::Limits,
    event::{EventBody, FailReason},
    run::RunSpec,
    time::Timestamp,
};
use serde_json::json;

const HOUR_MS: i64 = 3_600_000;

/// The machine's time since the test began, plus what the test adds to it; the run was created at 1.
#[derive(Clone)]
struct MovableClock(Arc<AtomicI64>);

impl MovableClock {
    fn new() -> Self {
        Self(Arc::new(AtomicI64::new(1 - real_time().0)))
    }

    fn read(&self) -> Timestamp {
        Timestamp(real_time().0 + self.0.load(Ordering::SeqCst))
    }

    fn shift(&self, by_ms: i64) {
        self.0.fetch_add(by_ms, Ordering::SeqCst);
    }
}

fn engine_with(clock: &MovableClock, store: &Store, model: Arc<ScriptModel>, world: &Arc<Mutex<World>>) -> Engine {
    let clock = clock.clone();
    Engine { clock: Arc::new(move || clock.read()), ..engine(store, model, world, "w1") }
}

/// Every tool call sets the clock back or forward.
#[tokio::test]
async fn the_times_of_a_journal_never_decrease() {
    let (store, world) = (Store::in_memory().await.unwrap(), Arc::default());
    let clock = MovableClock::new();
    let run = create(&store, run_spec(), persona()).await;
    let turns = (0..6).map(|n| vec![("note", json!({ "n": n })), ("read", json!({ "n": n }))]).collect();
    let mut environments = TestEnvironments::new(&world);
    let (moved, shifts) = (clock.clone(), Mutex::new([-HOUR_MS, HOUR_MS / 2, -2 * HOUR_MS].into_iter().cycle()));
    environments.before_call = Arc::new(move |_| {
        moved.shift(shifts.lock().unwrap().next().unwrap());
        Box::pin(async {})
    });
    let mut engine = engine_with(&clock, &store, ScriptModel::new(turns), &world);
    engine.environments = Arc::new(environments);
    // A short lease, so that heartbeats see the clock too.
    engine.lease = Duration::from_secs(3);
    let driven = engine.drive(run, options()).await.unwrap();
    assert!(matches!(driven, Driven::Ended(Outcome::Completed { .. })), "{driven:?}");
    let events = journal(&store, run).await;
    assert!(events.windows(2).all(|pair| pair[0].at <= pair[1].at), "{events:?}");
    let long = |event: &&masque_types::event::Event| matches!(event.body, EventBody::ToolCallFinished { duration_ms, .. } if duration_ms >= 1_000_000);
    assert_eq!(events.iter().find(long), None, "how long a call took is not read off that clock");
}

/// Nothing ends by itself here: the test would hang if the limit came an hour late.
#[tokio::test]
async fn a_time_limit_comes_though_the_clock_is_set_back() {
    let (store, world) = (Store::in_memory().await.unwrap(), Arc::default());
    let clock = MovableClock::new();
    let limits = Limits { wall: Some(Duration::from_millis(500)), ..Limits::default() };
    let run = create(&store, RunSpec { limits, ..run_spec() }, persona()).await;
    let mut environments = TestEnvironments::new(&world);
    let moved = clock.clone();
    environments.before_call = Arc::new(move |_| {
        moved.shift(-HOUR_MS);
        Box::pin(std::future::pending())
    });
    let mut engine = engine_with(&clock, &store, ScriptModel::new(vec![vec![("read", json!({}))]]), &world);
    engine.environments = Arc::new(environments);
    let driven = engine.drive(run, options()).await.unwrap();
    assert!(matches!(driven, Driven::Ended(Outcome::Failed { reason: FailReason::Limit, .. })), "{driven:?}");
}

#[tokio::test]
async fn a_deadline_comes_though_the_clock_is_set_back() {
    let (store, world) = (Store::in_memory().await.unwrap(), Arc::<Mutex<World>>::default());
    let clock = MovableClock::new();
    let mut spec = run_spec();
    spec.policy.rules = vec![ask_rule("mail")];
    spec.approvals.ttl_ms = Some(100);
    let run = create(&store, spec, persona()).await;
    let engine = engine_with(&clock, &store, ScriptModel::new(vec![vec![("mail", json!({}))]]), &world);
    let shifted = std::sync::Once::new();
    let stay = |_: &masque_types::approval::Approval| {
        shifted.call_once(|| clock.shift(-HOUR_MS));
        WhenWaiting::Stay
    };
    let driven = engine.drive(run, DriveOptions { when_waiting: &stay, ..options() }).await.unwrap();
    assert!(matches!(driven, Driven::Ended(Outcome::Completed { .. })), "{driven:?}");
    assert!(shifted.is_completed());
    assert_eq!(world.lock().unwrap().mails.len(), 0, "nobody answered in time: denied");
}
