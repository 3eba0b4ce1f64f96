//! A worker that is frozen by SIGSTOP for longer than its lease: another one takes over and finishes; the frozen one
//! writes nothing any more when it goes on, and begins no effect.

use std::time::Duration;

use crate::support::{
    durable::{Case, Moment},
    journal, real_time,
};
use masque_engine::driver::Driven;
use masque_testkit::database::TestDatabase;
use masque_types::{event::EventBody, id::Seq};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

const LEASE: Duration = Duration::from_millis(300);

/// Freezes a worker at a moment, lets another one finish, and lets the first go on until it ends.
async fn freeze(case: &mut Case, moment: Moment) -> Driven {
    let freezer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let process = case.victim(moment, LEASE, Some(freezer.local_addr().unwrap()));
    let mut victim = tokio::process::Command::from(process).kill_on_drop(true).spawn().unwrap();
    let (mut reached, _) = tokio::select! {
        accepted = freezer.accept() => accepted.unwrap(),
        status = victim.wait() => panic!("the worker ended before {moment:?}: {status:?}"),
    };
    let process = Pid::from_raw(i32::try_from(victim.id().unwrap()).unwrap()).unwrap();
    stop(process);
    let driven = loop {
        match case.finish(None).await {
            Ok(Driven::HeldBy { until, .. }) => tokio::time::sleep(until.since(real_time())).await,
            Ok(driven) => break driven,
            // A process that is frozen within a commit holds the lock of the file: it is frozen elsewhere.
            Err(masque_engine::Error::Store(masque_store::Error::Locked { .. })) => {
                kill_process(process, Signal::CONT).unwrap();
                tokio::time::sleep(LEASE / 6).await;
                stop(process);
            }
            Err(error) => panic!("{moment:?}: {error}"),
        }
    };
    kill_process(process, Signal::CONT).unwrap();
    reached.write_all(&[0]).await.unwrap();
    let status = victim.wait().await.unwrap();
    assert!(status.success(), "{moment:?}: {status}");
    driven
}

fn stop(process: Pid) {
    kill_process(process, Signal::STOP).unwrap();
    let (_, status) = waitpid(Some(process), WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(status.stopped());
}

async fn every_freeze(new_database: impl AsyncFn() -> TestDatabase) {
    let mut undisturbed = Case::new(new_database().await, vec![]).await;
    let driven = undisturbed.finish(None).await.unwrap();
    let events = undisturbed.check(&driven, "undisturbed").await as Seq;
    // The last answer and the outcome are one commit, after which there is nothing to take over.
    let moments = (3..events - 1).map(Moment::Event).chain([Moment::Mail(1), Moment::Mail(2)]);
    for moment in moments {
        let mut case = Case::new(new_database().await, vec![]).await;
        let driven = freeze(&mut case, moment).await;
        case.check(&driven, &format!("{moment:?}")).await;
        let events = journal(&case.store, case.run).await;
        let epochs: Vec<_> = events.iter().map(|event| event.epoch).collect();
        assert!(epochs.is_sorted(), "{moment:?}: the frozen worker wrote after the takeover: {epochs:?}");
        assert!(epochs.contains(&1) && epochs.last() > Some(&1), "{moment:?}: both workers wrote: {epochs:?}");
        if let Moment::Mail(_) = moment {
            let doubt = |event: &masque_types::event::Event| matches!(event.body, EventBody::ToolCallInDoubt { .. });
            assert!(case.doubts == 1 && events.iter().any(doubt), "{moment:?}: the begun call is in doubt");
        }
        case.store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_freeze_is_survived_on_sqlite() {
    every_freeze(async || TestDatabase::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_freeze_is_survived_on_postgres() {
    if TestDatabase::postgres().await.is_some() {
        every_freeze(async || TestDatabase::postgres().await.unwrap()).await;
    }
}
