//! What goes wrong or is stopped on the way: failing models, cancelling, time limits, stopping, vanished tools.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::support::{
    Answered, Before, FnModel, ScriptModel, TestEnvironments, Turn, World, answer, ask_rule, create, drive, engine,
    journal, open_questions, options, persona, run_spec, send,
};
use masque_engine::{
    driver::{DriveOptions, Driven, Engine},
    replay::replay,
    state::{Outcome, State, Waits},
};
use masque_store::Store;
use masque_types::{
    BoxFuture,
    actor::Actor,
    approval::{Answer, Question},
    cost::{Limits, MicroUsd, Usage},
    event::{Event, EventBody, FailReason},
    id::RunId,
    message::joined_text,
    model::{Attempt, Failure, FailureKind, Model, ModelError, ModelRequest, Receipt},
    run::{Command, RunSpec},
    tool::Invocation,
};
use serde_json::json;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

/// A run in memory.
struct Case {
    store: Store,
    run: RunId,
    world: Arc<Mutex<World>>,
}

impl Case {
    async fn new(spec: RunSpec) -> Self {
        let store = Store::in_memory().await.unwrap();
        let run = create(&store, spec, persona()).await;
        Self { store, run, world: Arc::default() }
    }

    fn engine(&self, model: Arc<dyn Model>) -> Engine {
        engine(&self.store, model, &self.world, "w1")
    }

    /// An engine whose tools do not end by themselves; the semaphore tells when one began.
    fn engine_with_endless_tools(&self, turns: Vec<Turn>) -> (Engine, Arc<Semaphore>) {
        let begun = Arc::new(Semaphore::new(0));
        let mut environments = TestEnvironments::new(&self.world);
        environments.before_call = endless(&begun);
        let engine = Engine { environments: Arc::new(environments), ..self.engine(ScriptModel::new(turns)) };
        (engine, begun)
    }

    async fn drive(&self, model: Arc<dyn Model>) -> Driven {
        drive(&self.engine(model), self.run, None).await.unwrap()
    }

    async fn journal(&self) -> Vec<Event> {
        journal(&self.store, self.run).await
    }

    async fn kinds(&self) -> Vec<&'static str> {
        self.journal().await.iter().map(|event| event.body.kind()).collect()
    }

    /// What holds however a drive ended.
    async fn check_ended(&self) {
        assert_eq!(self.world.lock().unwrap().active, 0, "the environment is closed");
        assert_eq!(self.store.lease(self.run).await.unwrap(), None, "the lease is given back");
        assert_eq!(replay(self.run, &self.journal().await).unwrap().differs_at, None);
    }
}

fn endless(begun: &Arc<Semaphore>) -> Before<Invocation> {
    let begun = Arc::clone(begun);
    Arc::new(move |_| {
        begun.add_permits(1);
        Box::pin(std::future::pending())
    })
}

fn failure(kind: FailureKind) -> Failure {
    Failure { kind, message: format!("the provider says {}", kind.name()), retry_after_ms: None }
}

fn failed_call(kind: FailureKind) -> Answered {
    let attempt = Attempt {
        model: "test/model".parse().unwrap(),
        failure: Some(failure(kind)),
        latency: Duration::from_millis(3),
    };
    let usage = Usage { input_tokens: 7, ..Usage::default() };
    let receipt = Receipt { attempts: vec![attempt], usage, micro_usd: Some(MicroUsd(7)), ..Receipt::default() };
    Err(Box::new(ModelError { failure: failure(kind), receipt }))
}

/// A script whose calls from the nth on fail for a while.
fn failing_model(turns: Vec<Turn>, from: u32, times: u32, kind: FailureKind) -> Arc<dyn Model> {
    let (script, failed) = (ScriptModel::new(turns), Mutex::new(0));
    Arc::new(FnModel(move |request: &ModelRequest| {
        let mut failed = failed.lock().unwrap();
        let answered = if request.step >= from && *failed < times {
            *failed += 1;
            failed_call(kind)
        } else {
            Ok(script.reply(request))
        };
        Box::pin(std::future::ready(answered)) as BoxFuture<'static, Answered>
    }))
}

fn many_reads() -> Vec<Turn> {
    (0..12).map(|n| vec![("read", json!({ "n": n, "pad": "x".repeat(600) }))]).collect()
}

fn failed(driven: Driven) -> (FailReason, String, String) {
    match driven {
        Driven::Ended(Outcome::Failed { reason, message, partial }) => (reason, message, partial),
        other => panic!("did not fail: {other:?}"),
    }
}

#[tokio::test]
async fn the_receipt_of_a_fallback_is_kept() {
    let case = Case::new(run_spec()).await;
    let script = ScriptModel::new(vec![]);
    let attempt = |model: &str, failure| Attempt { model: model.parse().unwrap(), failure, latency: Duration::ZERO };
    let attempts = vec![attempt("test/first", Some(failure(FailureKind::RateLimit))), attempt("test/second", None)];
    let tried = attempts.clone();
    let model = FnModel(move |request: &ModelRequest| {
        let mut reply = script.reply(request);
        reply.receipt.attempts.clone_from(&tried);
        reply.receipt.served = Some("test/second".parse().unwrap());
        Box::pin(std::future::ready(Ok(reply))) as BoxFuture<'static, Answered>
    });
    assert!(matches!(case.drive(Arc::new(model)).await, Driven::Ended(Outcome::Completed { .. })));
    let kept = case.journal().await.into_iter().find_map(|event| match event.body {
        EventBody::ModelCallFinished { receipt, .. } => Some(receipt),
        _ => None,
    });
    let kept = kept.unwrap();
    assert_eq!(kept.attempts, attempts);
    assert_eq!(kept.served.unwrap().to_string(), "test/second");
    case.check_ended().await;
}

#[tokio::test]
async fn a_conversation_that_is_too_long_for_the_model_is_compacted_and_sent_again() {
    let case = Case::new(run_spec()).await;
    let driven = case.drive(failing_model(many_reads(), 10, 1, FailureKind::ContextTooLong)).await;
    assert!(matches!(driven, Driven::Ended(Outcome::Completed { .. })), "{driven:?}");
    let kinds = case.kinds().await;
    let place = kinds.iter().position(|kind| *kind == "model_call_failed").unwrap();
    assert_eq!(
        kinds[place..place + 4],
        ["model_call_failed", "context_compacted", "model_call_started", "model_call_finished"]
    );
    let spend = State::fold(case.run, &case.journal().await).unwrap().spend;
    assert_eq!((spend.steps, spend.micro_usd), (14, MicroUsd(13 * 12 + 7)), "the failed call is paid too");
    case.check_ended().await;
}

#[tokio::test]
async fn a_conversation_that_stays_too_long_fails_the_run_and_keeps_what_was_said() {
    let case = Case::new(run_spec()).await;
    let driven = case.drive(failing_model(many_reads(), 10, u32::MAX, FailureKind::ContextTooLong)).await;
    let (reason, message, partial) = failed(driven);
    assert_eq!((reason, partial.as_str()), (FailReason::Model, "turn 8"));
    assert!(message.contains("context_too_long"), "{message}");
    assert!(case.kinds().await.contains(&"context_compacted"), "it was tried shorter");
    case.check_ended().await;
}

#[tokio::test]
async fn a_failing_model_fails_the_run_and_keeps_what_was_said() {
    let case = Case::new(run_spec()).await;
    let turns = vec![vec![("note", json!({}))]];
    let (reason, message, partial) = failed(case.drive(failing_model(turns, 2, 1, FailureKind::Auth)).await);
    assert_eq!((reason, partial.as_str()), (FailReason::Model, "turn 0"));
    assert!(message.contains("the provider says auth"), "{message}");
    case.check_ended().await;
}

#[tokio::test]
async fn cancelling_while_a_tool_runs_tells_what_was_interrupted() {
    for (tool, interrupted) in [("mail", vec!["mail call_0_0".to_owned()]), ("read", vec![])] {
        let case = Case::new(run_spec()).await;
        let (engine, begun) = case.engine_with_endless_tools(vec![vec![(tool, json!({}))]]);
        let cancel = async {
            drop(begun.acquire().await.unwrap());
            send(&case.store, case.run, Command::Cancel { by: Actor::User("ada".into()) }).await;
        };
        let (driven, ()) = futures::join!(drive(&engine, case.run, None), cancel);
        let partial = "turn 0".to_owned();
        assert_eq!(driven.unwrap(), Driven::Ended(Outcome::Cancelled { partial, interrupted }), "{tool}");
        case.check_ended().await;
    }
}

/// The provider may bill a call that nobody waits for any more.
#[tokio::test]
async fn cancelling_during_a_model_call_keeps_its_reservation_counted() {
    let case = Case::new(run_spec()).await;
    let asked = Arc::new(Notify::new());
    let tell = Arc::clone(&asked);
    let model = FnModel(move |_: &ModelRequest| {
        tell.notify_one();
        Box::pin(std::future::pending()) as BoxFuture<'static, Answered>
    });
    let engine = case.engine(Arc::new(model));
    let cancel = async {
        asked.notified().await;
        send(&case.store, case.run, Command::Cancel { by: Actor::System }).await;
    };
    let (driven, ()) = futures::join!(drive(&engine, case.run, None), cancel);
    assert!(matches!(driven.unwrap(), Driven::Ended(Outcome::Cancelled { .. })));
    let reserved = case.journal().await.iter().find_map(|event| match &event.body {
        EventBody::ModelCallStarted { reserved_tokens, reserved_micro_usd, .. } => {
            Some((*reserved_tokens, *reserved_micro_usd))
        }
        _ => None,
    });
    let spend = case.store.run(case.run).await.unwrap().unwrap().spend;
    assert_eq!(Some((spend.usage.total(), spend.micro_usd)), reserved);
    assert_eq!(spend.steps, 1);
    case.check_ended().await;
}

#[tokio::test]
async fn a_cancelled_run_that_waited_about_a_doubt_names_it() {
    let case = Case::new(run_spec()).await;
    let turns = || vec![vec![("mail", json!({}))]];
    let (engine, begun) = case.engine_with_endless_tools(turns());
    let stop = CancellationToken::new();
    let stopping = async {
        drop(begun.acquire().await.unwrap());
        stop.cancel();
    };
    let options = DriveOptions { stop: stop.clone(), ..options() };
    let (driven, ()) = futures::join!(engine.drive(case.run, options), stopping);
    assert_eq!(driven.unwrap(), Driven::Stopped);
    assert_eq!(case.drive(ScriptModel::new(turns())).await, Driven::Waiting(Waits::Answers));
    send(&case.store, case.run, Command::Cancel { by: Actor::System }).await;
    let Driven::Ended(Outcome::Cancelled { interrupted, .. }) = case.drive(ScriptModel::new(turns())).await else {
        panic!("not cancelled");
    };
    assert_eq!(interrupted, ["mail call_0_0"]);
    case.check_ended().await;
}

#[tokio::test]
async fn the_time_limit_ends_a_run_whose_tool_does_not() {
    let limits = Limits { wall: Some(Duration::from_millis(60)), ..Limits::default() };
    let case = Case::new(RunSpec { limits, ..run_spec() }).await;
    // The time of a run counts from its creation, which the tests put at the beginning of time.
    let (engine, _) = case.engine_with_endless_tools(vec![vec![("mail", json!({}))]]);
    let begun = crate::support::real_time();
    let clock = move || masque_types::time::Timestamp(1 + crate::support::real_time().0 - begun.0);
    let engine = Engine { clock: Arc::new(clock), ..engine };
    let (reason, message, partial) = failed(drive(&engine, case.run, None).await.unwrap());
    assert_eq!(reason, FailReason::Limit, "{message}");
    // On a busy machine the time may be over before the first call.
    if partial == "turn 0" && case.kinds().await.contains(&"tool_call_started") {
        let kinds = case.kinds().await;
        assert_eq!(kinds[kinds.len() - 2..], ["tool_call_in_doubt", "run_failed"], "nobody knows whether it happened");
    }
    case.check_ended().await;
}

#[tokio::test]
async fn a_stopped_run_is_resumed() {
    for tool in ["read", "note", "patch"] {
        let case = Case::new(run_spec()).await;
        let turns = || vec![vec![(tool, json!({}))]];
        let (engine, begun) = case.engine_with_endless_tools(turns());
        let stop = CancellationToken::new();
        let stopping = async {
            drop(begun.acquire().await.unwrap());
            stop.cancel();
        };
        let options = DriveOptions { stop: stop.clone(), ..options() };
        let (driven, ()) = futures::join!(engine.drive(case.run, options), stopping);
        assert_eq!(driven.unwrap(), Driven::Stopped);
        assert!(!case.store.run(case.run).await.unwrap().unwrap().status.is_final());
        case.check_ended().await;
        let driven = case.drive(ScriptModel::new(turns())).await;
        assert!(matches!(driven, Driven::Ended(Outcome::Completed { .. })), "{tool}: {driven:?}");
        assert!(case.kinds().await.contains(&"recovered"));
        case.check_ended().await;
    }
}

#[tokio::test]
async fn a_question_of_the_persona_offers_its_choices() {
    let case = Case::new(run_spec()).await;
    let ask = json!({ "question": "which?", "choices": ["the red one", "the blue one"] });
    let turns = || vec![vec![("ask", ask.clone())]];
    assert_eq!(case.drive(ScriptModel::new(turns())).await, Driven::Waiting(Waits::Answers));
    let question = open_questions(&case.store, case.run).await.remove(0).question;
    let choices = vec!["the red one".to_owned(), "the blue one".to_owned()];
    assert_eq!(question, Question::Input { question: "which?".into(), choices });
    answer(&case.store, case.run, Answer::Reply { text: "the blue one".into() }).await;
    assert!(matches!(case.drive(ScriptModel::new(turns())).await, Driven::Ended(Outcome::Completed { .. })));
    case.check_ended().await;
}

/// The run stays with the tools that it began with; what is gone meanwhile fails as data for the model.
#[tokio::test]
async fn a_pinned_tool_that_is_missing_now_is_told_to_the_model() {
    let mut spec = run_spec();
    spec.policy.rules = vec![ask_rule("note")];
    let case = Case::new(spec).await;
    let turns = || vec![vec![("note", json!({}))]];
    assert_eq!(case.drive(ScriptModel::new(turns())).await, Driven::Waiting(Waits::Answers));
    answer(&case.store, case.run, Answer::Approve).await;
    let mut environments = TestEnvironments::new(&case.world);
    environments.specs.retain(|spec| spec.name != "note");
    let engine = Engine { environments: Arc::new(environments), ..case.engine(ScriptModel::new(turns())) };
    let driven = drive(&engine, case.run, None).await.unwrap();
    assert!(matches!(driven, Driven::Ended(Outcome::Completed { .. })), "{driven:?}");
    let told = case.journal().await.into_iter().find_map(|event| match event.body {
        EventBody::ToolCallFinished { content, is_error: true, .. } => Some(joined_text(&content)),
        _ => None,
    });
    assert_eq!(told.as_deref(), Some("there is no tool note any more"));
    assert!(State::fold(case.run, &case.journal().await).unwrap().tool("note").is_some(), "the pinned tools stay");
    assert_eq!(case.world.lock().unwrap().notes.len(), 0);
    case.check_ended().await;
}
