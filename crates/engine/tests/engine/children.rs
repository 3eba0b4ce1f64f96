//! Runs that call other personas, over real stores: results, messages, hand-overs, time limits, and how trees end.

use std::sync::{Arc, Mutex};

use crate::support::{
    TestEnvironments, Turn, World, answer, create, drive,
    helpers::{Helpers, TreeModel, caller, tools},
    journal, open_questions, run_spec, send,
};
use masque_engine::{
    driver::Driven,
    replay::replay,
    state::{Outcome, State, Waits},
};
use masque_store::{RunFilter, Store};
use masque_testkit::on_both_databases;
use masque_types::{
    actor::Actor,
    approval::Answer,
    event::{Event, EventBody},
    id::RunId,
    message::{Message, joined_text},
    run::{Command, RunStatus, RunSummary},
};
use serde_json::{Value, json};

struct Tree {
    store: Store,
    helpers: Helpers,
    world: Arc<Mutex<World>>,
    root: RunId,
}

fn call(extra: &Value) -> (&'static str, Value) {
    let mut arguments = json!({ "persona": "helper", "task": "help" });
    arguments.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    ("agent.call", arguments)
}

impl Tree {
    async fn new(store: Store, root: Vec<Turn>, helper: Vec<Turn>) -> Self {
        let world = Arc::new(Mutex::new(World::default()));
        let environments = TestEnvironments { specs: tools(), ..TestEnvironments::new(&world) };
        let helpers = Helpers {
            store: store.clone(),
            model: TreeModel::new(root, helper),
            environments: Arc::new(environments),
            worker: "w1".into(),
            dead_worker: None,
        };
        let root = create(&store, run_spec(), caller()).await;
        Self { store, helpers, world, root }
    }

    async fn drive(&self) -> Driven {
        drive(&self.helpers.engine(), self.root, None).await.unwrap()
    }

    async fn called(&self) -> Vec<RunSummary> {
        self.store.runs(&RunFilter { parent: Some(self.root), ..RunFilter::default() }).await.unwrap()
    }

    async fn events(&self) -> Vec<Event> {
        let events = journal(&self.store, self.root).await;
        assert_eq!(replay(self.root, &events).unwrap().differs_at, None);
        events
    }
}

fn kinds(events: &[Event], kind: &str) -> usize {
    events.iter().filter(|event| event.body.kind() == kind).count()
}

fn completed(driven: &Driven) -> &str {
    match driven {
        Driven::Ended(Outcome::Completed { text, .. }) => text,
        other => panic!("did not complete: {other:?}"),
    }
}

fn results(state: &State) -> Vec<(String, bool)> {
    let result = |message: &Arc<Message>| match &**message {
        Message::Tool(result) => Some((joined_text(&result.content), result.is_error)),
        _ => None,
    };
    state.messages.iter().filter_map(result).collect()
}

on_both_databases! {
    /// Two calls beside each other; one run asks a person meanwhile, and the caller costs nothing while it waits.
    async fn a_caller_waits_for_its_calls_and_counts_what_they_cost(database: &TestDatabase) {
        let turns = vec![vec![call(&json!({})), call(&json!({ "task": "help too" }))]];
        let tree = Tree::new(database.open().await, turns, vec![vec![("ask", json!({ "question": "how?" }))]]).await;
        assert_eq!(tree.drive().await, Driven::Waiting(Waits::Runs));
        let called = tree.called().await;
        assert_eq!(called.len(), 2);
        let root = tree.store.run(tree.root).await.unwrap().unwrap();
        assert_eq!((root.status, tree.store.lease(tree.root).await.unwrap()), (RunStatus::Waiting, None));
        for child in &called {
            assert_eq!(open_questions(&tree.store, child.id).await.len(), 1);
            answer(&tree.store, child.id, Answer::Reply { text: "so".into() }).await;
        }
        assert_eq!(completed(&tree.drive().await), "done");
        let events = tree.events().await;
        assert_eq!((kinds(&events, "child_started"), kinds(&events, "child_ended")), (2, 2));
        let state = State::fold(tree.root, &events).unwrap();
        assert_eq!(results(&state), [("done".to_owned(), false), ("done".to_owned(), false)]);
        // Two model calls of its own and two of each called run, 12 tokens each.
        assert_eq!((state.spend.steps, state.spend.usage.total()), (2, 6 * 12));
        assert_eq!(tree.world.lock().unwrap().active, 0, "every environment was closed");
        tree.store.close().await.unwrap();
    }
}

#[tokio::test]
async fn an_asynchronous_result_comes_as_a_message_before_the_answer_counts() {
    let turns = vec![vec![call(&json!({ "mode": "async" })), ("read", json!({}))]];
    let tree = Tree::new(Store::in_memory().await.unwrap(), turns, vec![vec![("read", json!({}))]]).await;
    assert_eq!(completed(&tree.drive().await), "done");
    let state = State::fold(tree.root, &tree.events().await).unwrap();
    let notes = state.messages.iter().filter(|message| {
        matches!(&***message, Message::User { content } if joined_text(content).contains("The result of helper"))
    });
    assert_eq!(notes.count(), 1);
    assert!(results(&state)[0].0.starts_with("helper works on it as run_"));
}

#[tokio::test]
async fn a_task_that_is_left_to_another_persona_ends_with_its_answer() {
    let (_, arguments) = call(&json!({}));
    let turns = vec![vec![("agent.handoff", arguments)]];
    let tree = Tree::new(Store::in_memory().await.unwrap(), turns, vec![]).await;
    assert_eq!(completed(&tree.drive().await), "done");
    let events = tree.events().await;
    assert_eq!(kinds(&events, "model_call_started"), 1, "the caller is not asked again");
}

#[tokio::test]
async fn who_cannot_be_called_is_told_to_the_model() {
    let turns = vec![vec![
        call(&json!({ "persona": "stranger" })),
        call(&json!({ "expect": "structured" })),
        call(&json!({ "no": "such argument" })),
    ]];
    let tree = Tree::new(Store::in_memory().await.unwrap(), turns, vec![]).await;
    assert_eq!(completed(&tree.drive().await), "done");
    let state = State::fold(tree.root, &tree.events().await).unwrap();
    let told = results(&state);
    for (place, text) in ["this persona may call helper", "needs `schema`", "unknown field"].into_iter().enumerate() {
        assert!(told[place].1 && told[place].0.contains(text), "{told:?}");
    }
    assert!(tree.called().await.is_empty());
}

#[tokio::test]
async fn a_called_run_that_fails_is_an_error_for_the_model() {
    let turns = vec![vec![call(&json!({}))]];
    // Six repetitions of the same call end the helper's run.
    let tree = Tree::new(Store::in_memory().await.unwrap(), turns, vec![vec![("read", json!({}))]; 9]).await;
    assert_eq!(completed(&tree.drive().await), "done");
    let told = results(&State::fold(tree.root, &tree.events().await).unwrap());
    assert!(told[0].1 && told[0].0.contains("helper has no result, its run failed"), "{told:?}");
}

#[tokio::test]
async fn cancelling_the_caller_ends_the_whole_tree() {
    let turns = vec![vec![call(&json!({}))]];
    let tree =
        Tree::new(Store::in_memory().await.unwrap(), turns, vec![vec![("ask", json!({ "question": "?" }))]]).await;
    assert_eq!(tree.drive().await, Driven::Waiting(Waits::Runs));
    send(&tree.store, tree.root, Command::Cancel { by: Actor::System }).await;
    assert!(matches!(tree.drive().await, Driven::Ended(Outcome::Cancelled { .. })));
    let child = tree.called().await.remove(0);
    // Whoever drives the called run next finds that it was given up.
    let driven = drive(&tree.helpers.engine(), child.id, None).await.unwrap();
    assert!(matches!(driven, Driven::Ended(Outcome::Cancelled { .. })), "{driven:?}");
    assert_eq!(kinds(&tree.events().await, "child_cancelled"), 1);
}

#[tokio::test]
async fn cancelling_a_called_run_is_an_error_for_the_model() {
    let turns = vec![vec![call(&json!({}))]];
    let tree =
        Tree::new(Store::in_memory().await.unwrap(), turns, vec![vec![("ask", json!({ "question": "?" }))]]).await;
    assert_eq!(tree.drive().await, Driven::Waiting(Waits::Runs));
    let child = tree.called().await.remove(0);
    send(&tree.store, child.id, Command::Cancel { by: Actor::System }).await;
    assert_eq!(completed(&tree.drive().await), "done");
    let told = results(&State::fold(tree.root, &tree.events().await).unwrap());
    assert!(told[0].1 && told[0].0.contains("its run cancelled"), "{told:?}");
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_given_up() {
    let turns = vec![vec![call(&json!({ "timeout_s": 1 }))]];
    let tree =
        Tree::new(Store::in_memory().await.unwrap(), turns, vec![vec![("ask", json!({ "question": "?" }))]]).await;
    assert_eq!(tree.drive().await, Driven::Waiting(Waits::Runs));
    let mut engine = tree.helpers.engine();
    let clock = Arc::clone(&engine.clock);
    engine.clock = Arc::new(move || clock().plus(std::time::Duration::from_secs(5)));
    assert_eq!(completed(&drive(&engine, tree.root, None).await.unwrap()), "done");
    let events = tree.events().await;
    let told = results(&State::fold(tree.root, &events).unwrap());
    assert!(told[0].1 && told[0].0.contains("did not answer in time"), "{told:?}");
    let stops = events.iter().filter(|event| matches!(event.body, EventBody::ChildCancelled { .. })).count();
    assert_eq!(stops, 1);
}
