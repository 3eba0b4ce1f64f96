//! Deleting families of runs: as a whole, with their bodies, and never what somebody still needs.

use masque_store::{Append, Error, Expired, Family, NewAudit, NewJob, NewRun, Store};
use masque_testkit::{
    on_both_databases,
    sample::{command_id, event, head, new_run, run_id},
};
use masque_types::{
    actor::Actor,
    digest::Digest,
    id::RunId,
    job::Priority,
    run::{Command, RunStatus},
    time::Timestamp,
};

fn job(number: u128) -> NewRun {
    let job = NewJob {
        principal: "user:ada".to_owned(),
        remote: false,
        priority: Priority::Normal,
        workspace: "/p".to_owned(),
        context: None,
        estimate_ms: 1,
    };
    NewRun { job: Some(job), ..new_run(run_id(number)) }
}

/// Ends a run; the event is large enough to stand among the bodies, and a body comes along.
async fn end(store: &Store, number: u128, text: &str, body: &[u8]) {
    let mut last = event(2, 0, &text.repeat(2_000));
    last.at = Timestamp(100);
    let mut append = Append::new(run_id(number), 0, vec![last], head(RunStatus::Completed));
    append.blobs = vec![body.to_vec()];
    store.append(append).await.unwrap();
}

fn audit() -> NewAudit {
    NewAudit {
        at: Timestamp(200),
        actor: Actor::System,
        action: "job.delete".to_owned(),
        run: None,
        target: "old".to_owned(),
        detail: serde_json::json!({}),
    }
}

async fn families(store: &Store, before: i64, jobs_only: bool) -> Vec<Family> {
    store.expired_families(Expired { before: Timestamp(before), jobs_only }).await.unwrap()
}

fn family(runs: &[u128], jobs: u64) -> Family {
    Family { runs: runs.iter().copied().map(run_id).collect(), jobs }
}

async fn gone(store: &Store, run: RunId) -> bool {
    store.run(run).await.unwrap().is_none() && store.journal(run, 0).await == Err(Error::NoSuchRun { run })
}

on_both_databases! {
    async fn a_family_is_deleted_with_all_that_only_it_needs(database: &TestDatabase) {
        let store = database.open().await;
        store.create_run(job(1)).await.unwrap();
        store.create_run(NewRun { parent: Some(run_id(1)), ..new_run(run_id(2)) }).await.unwrap();
        store.create_run(job(3)).await.unwrap();
        store.send(command_id(1), run_id(1), &Command::Cancel { by: Actor::System }, Timestamp(1)).await.unwrap();
        end(&store, 2, "shared", b"of the child").await;
        assert_eq!(families(&store, 1_000, true).await, [], "its caller has not ended");
        end(&store, 1, "own", b"shared body").await;
        end(&store, 3, "shared", b"shared body").await;
        assert_eq!(families(&store, 100, true).await, [], "they are not old enough");
        assert_eq!(families(&store, 101, true).await, [family(&[1, 2], 1), family(&[3], 1)]);

        let deleted = store.delete_runs(vec![run_id(1), run_id(2)], &audit()).await.unwrap();
        assert_eq!(deleted.runs, 2);
        assert!(deleted.bytes > 6_000, "the large event of the first is gone: {}", deleted.bytes);
        assert!(gone(&store, run_id(1)).await && gone(&store, run_id(2)).await);
        assert_eq!(store.blob(&Digest::of(b"of the child")).await.unwrap(), None);
        assert_eq!(store.blob(&Digest::of(b"shared body")).await.unwrap().as_deref(), Some(&b"shared body"[..]));
        assert_eq!(store.journal(run_id(3), 0).await.unwrap().len(), 2, "the same large event is read still");
        assert_eq!(store.audit_tail(9).await.unwrap().len(), 1);
        assert_eq!(store.audit_verify().await.unwrap().broken, None);
        let late = store.send(command_id(2), run_id(1), &Command::Cancel { by: Actor::System }, Timestamp(2)).await;
        assert_eq!(late, Err(Error::NoSuchRun { run: run_id(1) }));
        store.create_run(job(1)).await.unwrap();
        assert_eq!(store.inbox(run_id(1)).await.unwrap(), [], "nothing of the old run is left");
        store.close().await.unwrap();
    }

    async fn what_is_needed_or_under_way_stays(database: &TestDatabase) {
        let store = database.open().await;
        store.create_run(job(1)).await.unwrap();
        end(&store, 1, "a", b"").await;
        store.create_run(new_run(run_id(2))).await.unwrap();
        end(&store, 2, "b", b"").await;
        store.create_run(job(3)).await.unwrap();
        let fork = NewRun {
            forked_from: Some((run_id(1), 2)),
            events: vec![event(3, 0, "goes on")],
            status: RunStatus::Completed,
            ..new_run(run_id(4))
        };
        store.create_run(fork).await.unwrap();
        assert_eq!(families(&store, 1_000, true).await, [], "a person forked the job");
        assert_eq!(families(&store, 1_000, false).await, [family(&[1, 4], 1), family(&[2], 0)]);
        for runs in [vec![run_id(1)], vec![run_id(3)], vec![run_id(2), run_id(3)], vec![run_id(2), run_id(9)]] {
            assert_eq!(store.delete_runs(runs, &audit()).await.unwrap().runs, 0);
        }
        assert_eq!(store.runs(&masque_store::RunFilter::default()).await.unwrap().len(), 4);
        assert_eq!(store.audit_tail(9).await.unwrap(), []);
        assert_eq!(store.delete_runs(vec![run_id(4), run_id(1)], &audit()).await.unwrap().runs, 2);
        store.close().await.unwrap();
    }
}
