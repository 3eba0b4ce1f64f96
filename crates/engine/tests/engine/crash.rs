//! SIGKILL after every journal event, and in the middle of effects: resuming completes each run, no `once` effect
//! happens twice, none is lost, and every interrupted one is shown as in doubt.

use std::{os::unix::process::ExitStatusExt as _, time::Duration};

use crate::support::{
    ask_rule,
    durable::{Case, Moment, Story},
};
use masque_testkit::database::TestDatabase;
use masque_types::id::Seq;

const LEASE: Duration = Duration::from_secs(10);

/// Starts the victim and waits for its death; false when it lived to the end.
fn kill(case: &Case, moment: Moment) -> bool {
    let status = case.victim(moment, LEASE, None).status().unwrap();
    assert!(status.success() || status.signal() == Some(9), "{status}");
    !status.success()
}

/// A conversation of three turns, struck after every event.
async fn every_death_of_a_conversation(new_database: impl AsyncFn() -> TestDatabase) {
    let new_case = async || Case::of(new_database().await, vec![], Story::Conversation).await;
    let mut undisturbed = new_case().await;
    let driven = undisturbed.finish(None).await.unwrap();
    let events = undisturbed.check(&driven, "undisturbed").await as Seq;
    // Within the first turn it is any other run; from there on every event is a death.
    for death in (events / 2..events).map(Moment::Event) {
        let mut case = new_case().await;
        while !kill(&case, death) && case.go_on().await {}
        let driven = case.finish(Some("victim")).await.unwrap();
        let written = case.check(&driven, &format!("{death:?}")).await;
        assert!(written as Seq >= events, "{death:?}: every turn was taken");
        case.store.close().await.unwrap();
    }
}

/// A run that calls another one, both struck after every event of either.
async fn every_death_in_a_tree(new_database: impl AsyncFn() -> TestDatabase) {
    let new_case = async || Case::of(new_database().await, vec![], Story::Tree).await;
    let mut undisturbed = new_case().await;
    let driven = undisturbed.finish(None).await.unwrap();
    let (root, child) = undisturbed.check_tree(&driven, "undisturbed").await;
    let deaths = (3..root as Seq).map(Moment::Event);
    let deaths = deaths.chain((3..=child as Seq).map(Moment::ChildEvent)).chain([Moment::Mail(1)]);
    for death in deaths {
        let mut case = new_case().await;
        while !kill(&case, death) && case.go_on().await {}
        let driven = case.finish(Some("victim")).await.unwrap();
        case.check_tree(&driven, &format!("{death:?}")).await;
        case.store.close().await.unwrap();
    }
}

async fn every_death(new_database: impl AsyncFn() -> TestDatabase) {
    let new_case = async || Case::new(new_database().await, vec![ask_rule("note")]).await;
    let mut undisturbed = new_case().await;
    let driven = undisturbed.finish(None).await.unwrap();
    let events = undisturbed.check(&driven, "undisturbed").await as Seq;
    let deaths = (3..events).map(Moment::Event).chain([Moment::Mail(1), Moment::Mail(2)]);
    let mut doubts = 0;
    for death in deaths {
        let mut case = new_case().await;
        // A victim stops at the first question; the rest of the run is reached by answering and killing again.
        while !kill(&case, death) && case.answer_all().await > 0 {}
        let driven = case.finish(Some("victim")).await.unwrap();
        case.check(&driven, &format!("{death:?}")).await;
        doubts += case.doubts;
        case.store.close().await.unwrap();
    }
    assert!(doubts >= 4, "deaths within a mail call leave doubts: {doubts}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_death_is_survived_on_sqlite() {
    every_death(async || TestDatabase::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_death_is_survived_on_postgres() {
    if TestDatabase::postgres().await.is_some() {
        every_death(async || TestDatabase::postgres().await.unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_death_of_a_conversation_is_survived_on_sqlite() {
    every_death_of_a_conversation(async || TestDatabase::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_death_of_a_conversation_is_survived_on_postgres() {
    if TestDatabase::postgres().await.is_some() {
        every_death_of_a_conversation(async || TestDatabase::postgres().await.unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_death_in_a_tree_is_survived_on_sqlite() {
    every_death_in_a_tree(async || TestDatabase::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_death_in_a_tree_is_survived_on_postgres() {
    if TestDatabase::postgres().await.is_some() {
        every_death_in_a_tree(async || TestDatabase::postgres().await.unwrap()).await;
    }
}
