//! The agent loop over a real store: effects, approvals, limits, loops, output schemas, cancel, fork, compaction.

use std::sync::{Arc, Mutex};

use crate::support::{
    ScriptModel, Turn, World, answer, ask_rule, create, drive, engine, journal, open_questions, persona, run_spec, send,
};
use masque_engine::{
    driver::Driven,
    replay::replay,
    state::{Outcome, State, Waits},
};
use masque_store::Store;
use masque_testkit::on_both_databases;
use masque_types::{
    actor::{Actor, Channel},
    approval::{Answer, Ruling},
    cost::{Limits, MicroUsd},
    event::{EventBody, FailReason, Refusal},
    id::RunId,
    policy::{Rule, Verdict},
    run::{Command, RunSpec},
};
use serde_json::json;

async fn played(turns: Vec<Turn>, spec: RunSpec) -> (Store, RunId, Arc<Mutex<World>>, Driven) {
    let store = Store::in_memory().await.unwrap();
    let world = Arc::new(Mutex::new(World::default()));
    let run = create(&store, spec, persona()).await;
    let driven = drive(&engine(&store, ScriptModel::new(turns), &world, "w1"), run, None).await.unwrap();
    (store, run, world, driven)
}

fn failed_because(driven: &Driven) -> FailReason {
    match driven {
        Driven::Ended(Outcome::Failed { reason, .. }) => *reason,
        other => panic!("did not fail: {other:?}"),
    }
}

on_both_databases! {
    /// All classes, an approval from outside, a fork: on both databases.
    async fn a_run_with_every_effect_waits_resumes_and_forks(database: &TestDatabase) {
        let store = database.open().await;
        let world = Arc::new(Mutex::new(World::default()));
        let mut spec = run_spec();
        spec.policy.rules = vec![ask_rule("mail")];
        let run = create(&store, spec, persona()).await;
        let turns = vec![
            vec![("read", json!({ "n": 1 })), ("read", json!({ "n": 2 })), ("note", json!({ "n": 1 }))],
            vec![("patch", json!({})), ("mail", json!({ "n": 1 })), ("mail", json!({ "n": 2 })), ("mail", json!({ "n": 3 }))],
        ];
        let engine = engine(&store, ScriptModel::new(turns), &world, "w1");
        assert_eq!(drive(&engine, run, None).await.unwrap(), Driven::Waiting(Waits::Answers));
        assert_eq!(world.lock().unwrap().reads, 2);
        for _ in 0..3 {
            answer(&store, run, Answer::Approve).await;
            drive(&engine, run, None).await.unwrap();
        }
        let ended = drive(&engine, run, None).await.unwrap();
        assert_eq!(ended, Driven::Ended(Outcome::Completed { text: "done".into(), output: None }));
        {
            let world = world.lock().unwrap();
            assert_eq!((world.reads, world.notes.len(), world.patches.len(), world.mails.len()), (2, 1, 1, 3));
            assert!(world.mails.values().all(|count| *count == 1), "approvals re-execute nothing");
            assert_eq!(world.active, 0, "every environment was closed");
        }
        let events = journal(&store, run).await;
        assert_eq!(replay(run, &events).unwrap().differs_at, None);
        assert_eq!(State::fold(run, &events).unwrap().spend.steps, 3);
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn denied_and_unknown_tools_and_bad_arguments_are_told_to_the_model() {
    let mut spec = run_spec();
    spec.policy.ceiling = vec![Rule::new("mail", Verdict::Deny)];
    let turns =
        vec![vec![("mail", json!({})), ("fly", json!({})), ("read", json!({ "n": "x" })), ("read", json!("{n:"))]];
    let (store, run, world, driven) = played(turns, spec).await;
    assert!(matches!(driven, Driven::Ended(Outcome::Completed { .. })));
    let refused: Vec<Refusal> = journal(&store, run)
        .await
        .iter()
        .filter_map(|event| match &event.body {
            EventBody::ToolCallRefused { reason, .. } => Some(*reason),
            _ => None,
        })
        .collect();
    assert_eq!(refused, [Refusal::Policy, Refusal::UnknownTool, Refusal::BadArguments, Refusal::BadArguments]);
    let world = world.lock().unwrap();
    assert_eq!((world.reads, world.mails.len()), (0, 0));
}

#[tokio::test]
async fn the_same_call_with_the_same_result_is_refused_and_then_ends_the_run() {
    let turns = (0..10).map(|_| vec![("read", json!({ "n": 1 }))]).collect();
    let (_, _, world, driven) = played(turns, run_spec()).await;
    assert_eq!(failed_because(&driven), FailReason::Loop);
    assert_eq!(world.lock().unwrap().reads, 3);
}

#[tokio::test]
async fn limits_stop_the_next_call_before_it_is_paid() {
    let many = || (0..50).map(|n| vec![("read", json!({ "n": n }))]).collect::<Vec<_>>();
    for limits in [
        Limits { steps: Some(3), ..Limits::default() },
        Limits { tokens: Some(400), ..Limits::default() },
        Limits { micro_usd: Some(MicroUsd(400)), ..Limits::default() },
    ] {
        let (store, run, _, driven) = played(many(), RunSpec { limits, ..run_spec() }).await;
        assert_eq!(failed_because(&driven), FailReason::Limit, "{limits:?}");
        let spend = store.run(run).await.unwrap().unwrap().spend;
        assert!(limits.steps.is_none_or(|steps| spend.steps <= steps));
        assert!(limits.tokens.is_none_or(|tokens| spend.usage.total() <= tokens));
        assert!(limits.micro_usd.is_none_or(|money| spend.micro_usd <= money));
    }
}

#[tokio::test]
async fn an_answer_that_misses_the_schema_is_repaired_once() {
    let store = Store::in_memory().await.unwrap();
    let world = Arc::new(Mutex::new(World::default()));
    let mut typed = persona();
    typed.output_schema = Some(json!({ "type": "object", "required": ["title"] }));
    let run = create(&store, run_spec(), typed).await;
    let driven = drive(&engine(&store, ScriptModel::new(vec![]), &world, "w1"), run, None).await.unwrap();
    assert_eq!(failed_because(&driven), FailReason::Output);
    let rejected = journal(&store, run)
        .await
        .iter()
        .filter(|event| matches!(event.body, EventBody::OutputRejected { .. }))
        .count();
    assert_eq!(rejected, 1);
}

#[tokio::test]
async fn a_question_is_answered_by_its_own_answer_only_and_in_time() {
    let mut spec = run_spec();
    spec.policy.rules = vec![ask_rule("mail")];
    spec.approvals.ttl_ms = Some(0);
    let (_, _, world, driven) = played(vec![vec![("mail", json!({}))]], spec.clone()).await;
    assert!(matches!(driven, Driven::Waiting(Waits::Answers) | Driven::Ended(_)));
    assert_eq!(world.lock().unwrap().mails.len(), 0, "nobody answered in time: denied");

    spec.approvals.ttl_ms = None;
    let (store, run, world, _) = played(vec![vec![("mail", json!({}))]], spec).await;
    let mut approval = open_questions(&store, run).await.remove(0);
    approval.digest = masque_types::digest::Digest::of("another call");
    let ruling = Ruling { answer: Answer::Approve, by: Actor::System, channel: Channel::Cli };
    send(&store, run, Command::Answer { approval: approval.id, digest: approval.digest, ruling }).await;
    let engine = engine(&store, ScriptModel::new(vec![vec![("mail", json!({}))]]), &world, "w2");
    assert_eq!(drive(&engine, run, None).await.unwrap(), Driven::Waiting(Waits::Answers));
    assert_eq!(world.lock().unwrap().mails.len(), 0, "approve X does not make Y");
    answer(&store, run, Answer::Deny { reason: Some("no".into()) }).await;
    assert!(matches!(drive(&engine, run, None).await.unwrap(), Driven::Ended(Outcome::Completed { .. })));
    assert_eq!(world.lock().unwrap().mails.len(), 0);
}

#[tokio::test]
async fn a_reply_to_the_personas_question_reaches_the_model() {
    let (store, run, world, driven) = played(vec![vec![("ask", json!({ "question": "which?" }))]], run_spec()).await;
    assert_eq!(driven, Driven::Waiting(Waits::Answers));
    answer(&store, run, Answer::Reply { text: "the blue one".into() }).await;
    let model = ScriptModel::new(vec![vec![("ask", json!({ "question": "which?" }))]]);
    drive(&engine(&store, model, &world, "w2"), run, None).await.unwrap();
    let state = State::fold(run, &journal(&store, run).await).unwrap();
    assert!(format!("{:?}", state.messages).contains("the blue one"));
}

#[tokio::test]
async fn cancel_keeps_the_partial_result() {
    let mut spec = run_spec();
    spec.policy.rules = vec![ask_rule("mail")];
    let (store, run, world, _) = played(vec![vec![("mail", json!({}))]], spec).await;
    send(&store, run, Command::Cancel { by: Actor::User("ada".into()) }).await;
    let driven = drive(&engine(&store, ScriptModel::new(vec![]), &world, "w2"), run, None).await.unwrap();
    let Driven::Ended(Outcome::Cancelled { partial, interrupted }) = driven else { panic!("{driven:?}") };
    assert_eq!((partial.as_str(), interrupted.len()), ("turn 0", 0));
}

#[tokio::test]
async fn a_long_conversation_is_compacted_and_keeps_the_rules_of_every_provider() {
    let turns = (0..60).map(|n| vec![("read", json!({ "n": n, "pad": "x".repeat(400) }))]).collect();
    let (store, run, _, driven) = played(turns, RunSpec { context_tokens: 3_000, ..run_spec() }).await;
    assert!(matches!(driven, Driven::Ended(Outcome::Completed { .. })), "{driven:?}");
    let events = journal(&store, run).await;
    let compactions = events.iter().filter(|event| matches!(event.body, EventBody::ContextCompacted { .. })).count();
    assert!(compactions > 1);
    let state = State::fold(run, &events).unwrap();
    let sum: u64 = state.messages.iter().map(|message| message.estimated_tokens()).sum();
    assert!(sum <= 3_000, "{sum}");
}
