//! Opening: several programs at once on an empty database, servers that refuse, connections that break.

use std::time::Duration;

use masque_store::{Append, Error, Store};
use masque_testkit::{
    database::TestDatabase,
    on_both_databases,
    sample::{event, head, new_run, run_id},
};
use masque_types::{run::RunStatus, secret::Secret};

on_both_databases! {
    async fn several_programs_may_open_an_empty_database_at_once(database: &TestDatabase) {
        let opened = futures::future::join_all((0..6).map(|_| database.open())).await;
        for (number, store) in (1..).zip(&opened) {
            store.create_run(new_run(run_id(number))).await.unwrap();
        }
        for store in opened {
            assert!(store.run(run_id(6)).await.unwrap().is_some());
            store.close().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_are_made_anew() {
    let Some(database) = TestDatabase::postgres().await else { return };
    let (one, two) = (database.open().await, database.open().await);
    let run = run_id(1);
    one.create_run(new_run(run)).await.unwrap();
    let mut watch = two.watch(run);
    let everyone_else = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database.tamper(everyone_else).await;

    let write = async {
        // The batch that notices fails, and may say so once per connection.
        let mut failures = 0;
        loop {
            let next = one.run(run).await.map_or(2, |summary| summary.map_or(1, |run| run.last_seq) + 1);
            let append = Append::new(run, 0, vec![event(next, 0, "more")], head(RunStatus::Running));
            match one.append(append).await {
                Ok(()) => break,
                Err(Error::Unreachable { .. } | Error::OutOfOrder { .. }) if failures < 20 => failures += 1,
                Err(error) => panic!("{error}"),
            }
        }
    };
    let hear = async {
        while two.journal(run, 1).await.is_ok_and(|events| events.is_empty()) {
            watch.changed().await;
        }
    };
    // Only a guard: whoever is never woken would wait for ever.
    tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(write, hear) }).await.unwrap();
    one.close().await.unwrap();
    two.close().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_password() {
    let connect = async |url: &str| Store::connect_postgres(&Secret::new(url)).await.map(drop).unwrap_err();
    let error = connect("postgres://ada:hunter2@127.0.0.1:1/masque").await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1/masque") && !error.to_string().contains("hunter2"), "{error}");
    let error = connect("mysql://ada:hunter2@host").await;
    assert!(matches!(error, Error::Url { .. }) && !error.to_string().contains("hunter2"), "{error}");
}
