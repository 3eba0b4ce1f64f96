//! Claims, races for them, expiry, renewal and release.

use masque_store::{Append, Claim, ClaimRequest, Error, Store};
use masque_testkit::{
    on_both_databases,
    sample::{command_id, event, head, new_run, run_id},
};
use masque_types::{
    actor::Actor,
    id::RunId,
    run::{Command, RunStatus},
    time::Timestamp,
};

const fn request(worker: &str, now: i64) -> ClaimRequest<'_> {
    ClaimRequest { worker, now: Timestamp(now), until: Timestamp(now + 10), dead_worker: None }
}

async fn wait(store: &Store, run: RunId, wake_at: Option<i64>) {
    let mut wait = Append::new(run, 0, vec![event(2, 0, "waits")], head(RunStatus::Waiting));
    wait.head.wake_at = wake_at.map(Timestamp);
    store.append(wait).await.unwrap();
}

on_both_databases! {
    async fn a_lease_is_taken_when_free_expired_or_of_the_dead(database: &TestDatabase) {
        let store = database.open().await;
        let run = run_id(1);
        assert_eq!(store.claim(run, request("a", 0)).await, Err(Error::NoSuchRun { run }));
        store.create_run(new_run(run)).await.unwrap();
        let granted = |epoch, previous: Option<&str>| Claim::Granted { epoch, previous: previous.map(str::to_owned) };
        let held = |worker: &str, until| Claim::Held { worker: worker.to_owned(), until: Timestamp(until) };

        assert_eq!(store.claim(run, request("a", 0)).await.unwrap(), granted(1, None));
        assert_eq!(store.claim(run, request("b", 9)).await.unwrap(), held("a", 10));
        assert_eq!(store.claim(run, request("b", 10)).await.unwrap(), granted(2, Some("a")));
        assert!(!store.renew(run, 1, Timestamp(99)).await.unwrap());
        assert!(store.renew(run, 2, Timestamp(30)).await.unwrap());
        assert_eq!(store.claim(run, request("b", 29)).await.unwrap(), held("b", 30));
        let of_the_dead = ClaimRequest { dead_worker: Some("b"), ..request("c", 12) };
        assert_eq!(store.claim(run, of_the_dead).await.unwrap(), granted(3, Some("b")));
        assert_eq!(store.claim(run, of_the_dead).await.unwrap(), held("c", 22));

        let late = Append::new(run, 2, vec![event(2, 2, "late")], head(RunStatus::Running));
        assert_eq!(store.append(late).await, Err(Error::StaleLease { run, epoch: 2, current: 3 }));
        store.release(run, 2).await.unwrap();
        assert_eq!(store.lease(run).await.unwrap().unwrap().worker, "c");
        store.release(run, 3).await.unwrap();
        assert_eq!(store.lease(run).await.unwrap(), None);
        assert!(!store.renew(run, 3, Timestamp(99)).await.unwrap());
        assert_eq!(store.claim(run, request("d", 13)).await.unwrap(), granted(4, None));
        store.close().await.unwrap();
    }

    async fn of_racing_claimers_one_wins(database: &TestDatabase) {
        let (one, two) = (database.open().await, database.open().await);
        for number in 1..=20 {
            let run = run_id(number);
            one.create_run(new_run(run)).await.unwrap();
            let (a, b) = tokio::join!(one.claim(run, request("a", 0)), two.claim(run, request("b", 0)));
            let wins = [a.unwrap(), b.unwrap()].iter().filter(|claim| matches!(claim, Claim::Granted { .. })).count();
            assert_eq!(wins, 1);
        }
        one.close().await.unwrap();
        two.close().await.unwrap();
    }

    async fn every_open_run_goes_to_one_worker(database: &TestDatabase) {
        let (one, two) = (database.open().await, database.open().await);
        for number in 1..=30 {
            one.create_run(new_run(run_id(number))).await.unwrap();
        }
        let take_all = async |store: &Store, worker: &str| {
            let mut taken = Vec::new();
            while let Some((run, _)) = store.claim_next(worker, Timestamp(0), Timestamp(10)).await.unwrap() {
                taken.push(run);
            }
            taken
        };
        let (mut taken, others) = tokio::join!(take_all(&one, "a"), take_all(&two, "b"));
        taken.extend(others);
        taken.sort_unstable();
        assert_eq!(taken, (1..=30).map(run_id).collect::<Vec<_>>());
        one.close().await.unwrap();
        two.close().await.unwrap();
    }

    async fn the_next_run_is_one_that_can_go_on(database: &TestDatabase) {
        let store = database.open().await;
        let next = async |now: i64| {
            store.claim_next("w", Timestamp(now), Timestamp(now + 10)).await.unwrap().map(|(run, _)| run)
        };
        for number in 1..=4 {
            store.create_run(new_run(run_id(number))).await.unwrap();
        }
        wait(&store, run_id(1), None).await;
        wait(&store, run_id(2), Some(100)).await;
        let done = Append::new(run_id(3), 0, vec![event(2, 0, "done")], head(RunStatus::Completed));
        store.append(done).await.unwrap();

        assert_eq!(next(50).await, Some(run_id(4)));
        assert_eq!(next(50).await, None);
        assert_eq!(next(60).await, Some(run_id(4)));
        let cancel = Command::Cancel { by: Actor::System };
        store.send(command_id(1), run_id(1), &cancel, Timestamp(61)).await.unwrap();
        assert_eq!(next(62).await, Some(run_id(1)));
        assert_eq!(next(63).await, None);
        let mut took = Append::new(run_id(1), 1, Vec::new(), head(RunStatus::Waiting));
        took.consumed = vec![command_id(1)];
        store.append(took).await.unwrap();
        store.release(run_id(1), 1).await.unwrap();
        assert_eq!(next(64).await, None);
        assert_eq!(next(100).await, Some(run_id(2)));
        store.close().await.unwrap();
    }
}
