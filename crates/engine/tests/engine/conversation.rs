//! Conversations over real stores: turns, words that come in between, interrupts, and what a person may change.

use std::sync::{Arc, Mutex};

use crate::support::{
    Before, FnModel, ScriptModel, TestEnvironments, Turn, World, create, drive, engine, journal, options, persona,
    run_spec, send,
};
use masque_engine::{
    driver::{DriveOptions, Driven, Engine, Progress},
    replay::replay,
    state::{Outcome, State, Waits},
};
use masque_store::{RunFilter, Store};
use masque_testkit::on_both_databases;
use masque_types::{
    BoxFuture,
    actor::Actor,
    cost::Limits,
    event::{EventBody, FailReason},
    id::RunId,
    message::{Message, Part},
    model::{ModelDelta, ModelError, ModelFacts, ModelRef, ModelReply, ModelRequest},
    policy::Mode,
    run::{Command, RunSpec, RunStatus},
    tool::Invocation,
};
use serde_json::json;
use tokio::sync::Notify;

fn ada() -> Actor {
    Actor::User("ada".into())
}

fn conversation() -> RunSpec {
    RunSpec { conversation: true, ..run_spec() }
}

async fn say(store: &Store, run: RunId, text: &str) {
    send(store, run, Command::Say { parts: vec![Part::text(text)], by: ada(), model: None }).await;
}

async fn state(store: &Store, run: RunId) -> State {
    let events = journal(store, run).await;
    assert_eq!(replay(run, &events).unwrap().differs_at, None);
    State::fold(run, &events).unwrap()
}

on_both_databases! {
    async fn a_conversation_waits_for_words_between_turns(database: &TestDatabase) {
        let store = database.open().await;
        let world = Arc::new(Mutex::new(World::default()));
        let turns: Vec<Turn> = vec![vec![("read", json!({ "n": 1 }))]];
        let run = create(&store, conversation(), persona()).await;
        let engine = engine(&store, ScriptModel::new(turns), &world, "w1");
        assert_eq!(drive(&engine, run, None).await.unwrap(), Driven::Waiting(Waits::Words));
        let summary = store.run(run).await.unwrap().unwrap();
        assert_eq!((summary.status, summary.conversation), (RunStatus::Waiting, true));
        let conversations = RunFilter { conversation: Some(true), ..RunFilter::default() };
        assert_eq!(store.runs(&conversations).await.unwrap(), [summary]);
        let others = RunFilter { conversation: Some(false), ..RunFilter::default() };
        assert!(store.runs(&others).await.unwrap().is_empty());
        let now = (engine.clock)();
        assert_eq!(store.claim_next("w2", now, now).await.unwrap(), None, "nothing is to be done");

        say(&store, run, "and now?").await;
        assert_eq!(drive(&engine, run, None).await.unwrap(), Driven::Waiting(Waits::Words));
        assert_eq!(state(&store, run).await.messages.len(), 6);
        send(&store, run, Command::Finish { by: ada() }).await;
        let ended = Driven::Ended(Outcome::Completed { text: "done".into(), output: None });
        assert_eq!(drive(&engine, run, None).await.unwrap(), ended);
        state(&store, run).await;
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_limit_of_calls_holds_for_each_turn_and_ends_only_the_turn() {
    let store = Store::in_memory().await.unwrap();
    let turns: Vec<Turn> = (0..9).map(|n| vec![("read", json!({ "n": n }))]).collect();
    let spec = RunSpec { limits: Limits { steps: Some(2), ..Limits::default() }, ..conversation() };
    let run = create(&store, spec, persona()).await;
    let engine = engine(&store, ScriptModel::new(turns), &Arc::default(), "w1");
    for turn in 1..=2 {
        assert_eq!(drive(&engine, run, None).await.unwrap(), Driven::Waiting(Waits::Words));
        let events = journal(&store, run).await;
        let EventBody::TurnEnded { failure: Some(failure), .. } = &events.last().unwrap().body else {
            panic!("the turn did not fail: {events:?}")
        };
        assert_eq!(failure.reason, FailReason::Limit);
        assert_eq!(state(&store, run).await.spend.steps, turn * 2);
        say(&store, run, "go on").await;
    }
}

/// A model that says half of its answer and then nothing more.
struct HalfModel(Notify);

impl masque_types::model::Model for HalfModel {
    fn call<'a>(
        &'a self,
        _: &'a ModelRequest,
        show: &'a (dyn Fn(ModelDelta) + Send + Sync),
    ) -> BoxFuture<'a, Result<ModelReply, Box<ModelError>>> {
        Box::pin(async move {
            show(ModelDelta::Text("It is ".into()));
            show(ModelDelta::Text("like".into()));
            self.0.notify_one();
            std::future::pending().await
        })
    }

    fn facts(&self, _: &ModelRef) -> ModelFacts {
        ModelFacts::default()
    }
}

#[tokio::test]
async fn an_interrupt_keeps_what_the_model_had_said() {
    let store = Store::in_memory().await.unwrap();
    let run = create(&store, conversation(), persona()).await;
    let model = Arc::new(HalfModel(Notify::new()));
    let half: Arc<HalfModel> = Arc::clone(&model);
    let engine = engine(&store, model, &Arc::default(), "w1");
    let interrupt = async {
        half.0.notified().await;
        send(&store, run, Command::Interrupt { by: ada() }).await;
    };
    let (driven, ()) = tokio::join!(drive(&engine, run, None), interrupt);
    assert_eq!(driven.unwrap(), Driven::Waiting(Waits::Words));
    let state = state(&store, run).await;
    assert!(matches!(&**state.messages.last().unwrap(), Message::Assistant(said) if said.text == "It is like"));
    assert!(state.spend.usage.total() > 0, "what was reserved stays counted");
}

#[tokio::test]
async fn an_interrupted_call_is_told_as_unknown_and_the_conversation_goes_on() {
    let store = Store::in_memory().await.unwrap();
    let world = Arc::new(Mutex::new(World::default()));
    let run = create(&store, conversation(), persona()).await;
    let began = Arc::new(Notify::new());
    let says = Arc::clone(&began);
    let before_call: Before<Invocation> = Arc::new(move |invocation| {
        let says = Arc::clone(&says);
        Box::pin(async move {
            if invocation.call.tool == "mail" {
                says.notify_one();
                std::future::pending::<()>().await;
            }
        })
    });
    let environments = TestEnvironments { before_call, ..TestEnvironments::new(&world) };
    let engine = Engine {
        environments: Arc::new(environments),
        ..engine(&store, ScriptModel::new(vec![vec![("mail", json!({}))]]), &world, "w1")
    };
    let interrupt = async {
        began.notified().await;
        send(&store, run, Command::Interrupt { by: ada() }).await;
    };
    let (driven, ()) = tokio::join!(drive(&engine, run, None), interrupt);
    assert_eq!(driven.unwrap(), Driven::Waiting(Waits::Words));
    let events = journal(&store, run).await;
    let EventBody::TurnEnded { interrupted, .. } = &events.last().unwrap().body else { panic!("{events:?}") };
    assert_eq!(interrupted, &["mail call_0_0"]);
    say(&store, run, "never mind").await;
    assert_eq!(drive(&engine, run, None).await.unwrap(), Driven::Waiting(Waits::Words));
    let told = state(&store, run).await;
    let told = told.messages.iter().any(|message| {
        matches!(&**message, Message::Tool(result) if result.is_error && format!("{result:?}").contains("nobody knows"))
    });
    assert!(told);
}

#[tokio::test]
async fn words_that_come_within_a_turn_join_it() {
    let store = Store::in_memory().await.unwrap();
    let world = Arc::new(Mutex::new(World::default()));
    let run = create(&store, conversation(), persona()).await;
    let (speaker, again) = (store.clone(), Arc::new(Mutex::new(false)));
    let before_call: Before<Invocation> = Arc::new(move |_| {
        let (store, again) = (speaker.clone(), Arc::clone(&again));
        Box::pin(async move {
            if std::mem::replace(&mut *again.lock().unwrap(), true) {
                return;
            }
            say(&store, run, "also this").await;
            while !store.inbox(run).await.unwrap().is_empty() {
                tokio::task::yield_now().await;
            }
        })
    });
    let environments = TestEnvironments { before_call, ..TestEnvironments::new(&world) };
    let turns: Vec<Turn> = vec![vec![("note", json!({ "n": 1 }))], vec![("note", json!({ "n": 2 }))]];
    let engine =
        Engine { environments: Arc::new(environments), ..engine(&store, ScriptModel::new(turns), &world, "w1") };
    assert_eq!(drive(&engine, run, None).await.unwrap(), Driven::Waiting(Waits::Words));
    let events = journal(&store, run).await;
    let count = |kind: &str| events.iter().filter(|event| event.body.kind() == kind).count();
    assert_eq!((count("user_said"), count("turn_ended")), (1, 1));
}

#[tokio::test]
async fn a_mode_that_the_person_sets_decides_from_the_next_call_on() {
    let store = Store::in_memory().await.unwrap();
    let world = Arc::new(Mutex::new(World::default()));
    let run = create(&store, conversation(), persona()).await;
    let model = FnModel(|request: &ModelRequest| {
        let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
        let text = names.join(" ");
        let reply = ModelReply {
            message: masque_types::message::AssistantMessage { text, ..Default::default() },
            finish: masque_types::model::FinishReason::Stop,
            receipt: masque_types::model::Receipt::default(),
        };
        Box::pin(async { Ok(reply) }) as BoxFuture<'static, _>
    });
    let engine = engine(&store, Arc::new(model), &world, "w1");
    let shown = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&shown);
    let observe = move |progress: Progress<'_>| {
        if let Progress::Committed(events) = progress {
            seen.lock().unwrap().extend(events.iter().filter_map(|event| match &event.body {
                EventBody::TurnEnded { text, .. } => Some(text.clone()),
                _ => None,
            }));
        }
    };
    for mode in [Mode::Plan, Mode::Auto, Mode::Plan] {
        engine.drive(run, DriveOptions { observe: &observe, ..options() }).await.unwrap();
        send(&store, run, Command::SetPolicy { mode: Some(mode), narrow: vec![], by: ada() }).await;
        say(&store, run, "what now?").await;
    }
    assert_eq!(*shown.lock().unwrap(), ["read note patch mail ask", "read ask", "read note patch mail ask"]);
}
