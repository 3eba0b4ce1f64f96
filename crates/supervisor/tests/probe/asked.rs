//! Commands, connections, and the rhythm in which a service is asked.

use std::time::Duration;

use masque_fleet::model::{Check, Command};
use masque_supervisor::machine::Outcome;
use tokio::net::TcpListener;

use crate::stage::{Stage, guarded, unhealthy};

fn shell(line: &str) -> Check {
    Check::Exec(Command::Shell(line.to_owned()))
}

#[tokio::test]
async fn a_command_is_judged_by_its_end_and_quoted() {
    assert_eq!(Stage::check(shell("test \"$MASQUE_SERVICE\" = agent")).await, Outcome::Healthy);
    let found = Stage::check(shell("echo one; echo two; echo; exit 3")).await;
    assert_eq!(found, unhealthy("the check ended with exit code 3: two"));
    assert_eq!(Stage::check(shell("kill -TERM $$")).await, unhealthy("the check ended with signal TERM"));
    let found = Stage::check(Check::Exec(Command::Exec(vec!["no-such-program".into()]))).await;
    assert!(matches!(found, Outcome::Unhealthy(why) if why.starts_with("program `no-such-program` is not there")));
    let mut stage = Stage::changed("true", Some(shell("sleep 1000 & sleep 1000")), |service| {
        service.ready.as_mut().unwrap().timeout = Duration::from_millis(100);
    });
    let found = guarded(stage.prober().check_once()).await.unwrap().outcome;
    assert_eq!(found, unhealthy("no answer within 100ms"));
}

#[tokio::test]
async fn a_port_is_open_or_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    assert_eq!(Stage::check(Check::Tcp(address)).await, Outcome::Healthy);
    assert_eq!(Stage::check(Check::Tcp("127.0.0.1:1".into())).await, unhealthy("connection refused at 127.0.0.1:1"));
    assert_eq!(
        Stage::check(Check::Tcp("nowhere".into())).await,
        unhealthy("`nowhere` is no address: expected ADDRESS:PORT")
    );
}

#[tokio::test]
async fn a_service_is_watched_from_its_start_and_one_check_at_a_time() {
    // Two checks at a time would find the directory of the other.
    let line = "mkdir busy || exit 9; sleep 0.02; rmdir busy; test -e up";
    let mut stage = Stage::new("sleep 0.1; touch up; exec sleep 1000", Some(shell(line)));
    let process = stage.start();
    let mut watched = stage.watch(&process);
    let before = watched.healthy().await;
    assert!(!before.is_empty() && before.iter().all(|why| why == "the check ended with exit code 1"), "{before:?}");
    for _ in 0..5 {
        assert_eq!(watched.next().await, Outcome::Healthy);
    }
    drop(watched);
    guarded(process.kill_tree()).await.unwrap();
}
