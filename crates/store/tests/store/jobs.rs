//! Jobs: their order in the queue, what is listed and counted, what is learned from them; chores and tokens.

use masque_store::{Append, ClaimRequest, JobFilter, JobScope, NewAudit, NewJob, NewRun, Store, StoredToken};
use masque_testkit::{
    on_both_databases,
    sample::{event, head, new_run, run_id},
};
use masque_types::{
    actor::Actor,
    digest::Digest,
    id::{RunId, TokenId},
    job::{JobStatus, Priority},
    run::RunStatus,
    time::Timestamp,
};

fn job(number: u128, principal: &str, priority: Priority) -> NewRun {
    let job = NewJob {
        principal: principal.to_owned(),
        remote: principal != "user:ada",
        priority,
        workspace: "/home/ada/project".to_owned(),
        context: Some(Digest::of("context")),
        estimate_ms: 45_000,
    };
    let created_at = Timestamp(i64::try_from(number).unwrap());
    NewRun { job: Some(job), created_at, ..new_run(run_id(number)) }
}

async fn end(store: &Store, run: RunId, epoch: u64, at: i64, status: RunStatus) {
    let mut last = event(2, epoch, "last");
    last.at = Timestamp(at);
    store.append(Append::new(run, epoch, vec![last], head(status))).await.unwrap();
    store.release(run, epoch).await.unwrap();
}

fn audit() -> NewAudit {
    NewAudit {
        at: Timestamp(1),
        actor: Actor::System,
        action: "token".to_owned(),
        run: None,
        target: "t".to_owned(),
        detail: serde_json::json!({}),
    }
}

on_both_databases! {
    async fn the_queue_goes_by_priority_then_age_and_takes_called_runs_along(database: &TestDatabase) {
        let store = database.open().await;
        store.create_run(new_run(run_id(1))).await.unwrap();
        for (number, priority) in
            [(2, Priority::Low), (3, Priority::Normal), (4, Priority::High), (5, Priority::Normal), (6, Priority::High)]
        {
            store.create_run(job(number, "user:ada", priority)).await.unwrap();
        }
        // It is newer than all others, and stands where its caller does.
        store.create_run(NewRun { parent: Some(run_id(6)), ..new_run(run_id(7)) }).await.unwrap();
        let next = async || store.claim_next_job("w", Timestamp(10), Timestamp(20)).await.unwrap();
        let mut order = Vec::new();
        while let Some((run, epoch)) = next().await {
            assert_eq!(epoch, 1);
            order.push(run);
        }
        assert_eq!(order, [4, 6, 7, 3, 5, 2].map(run_id), "the run that is no job stays");
        assert_eq!(store.job_leases().await.unwrap().len(), 6);
        let (run, _) = store.claim_next("w", Timestamp(10), Timestamp(20)).await.unwrap().unwrap();
        assert_eq!(run, run_id(1), "a worker of all runs takes it");
        assert_eq!(store.claim_next("w", Timestamp(10), Timestamp(20)).await.unwrap(), None);
        // A lease that ran out is taken, the most urgent first.
        assert_eq!(store.claim_next_job("v", Timestamp(20), Timestamp(30)).await.unwrap(), Some((run_id(4), 2)));

        assert!(store.has_open_jobs().await.unwrap());
        let started = store.job(run_id(4)).await.unwrap().unwrap();
        assert_eq!(started.started_at, Some(Timestamp(10)), "a second claim is no second start");
        assert_eq!(started.new, job(4, "user:ada", Priority::High).job.unwrap());
        assert_eq!(store.job(run_id(1)).await.unwrap(), None);
        assert_eq!(store.job(run_id(7)).await.unwrap(), None, "a called run is no job");
        store.close().await.unwrap();
    }

    async fn of_two_stores_each_job_goes_to_one(database: &TestDatabase) {
        let (one, two) = (database.open().await, database.open().await);
        for number in 1..=30 {
            one.create_run(job(number, "user:ada", Priority::Normal)).await.unwrap();
        }
        let take_all = async |store: &Store, worker: &str| {
            let mut taken = Vec::new();
            while let Some((run, _)) = store.claim_next_job(worker, Timestamp(0), Timestamp(10)).await.unwrap() {
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

    async fn listings_are_scoped_filtered_and_counted(database: &TestDatabase) {
        let store = database.open().await;
        for number in 1..=6 {
            let principal = if number <= 4 { "user:ada" } else { "user:bob" };
            store.create_run(job(number, principal, Priority::Normal)).await.unwrap();
        }
        store.create_run(new_run(run_id(9))).await.unwrap();
        for (number, status) in [(1, RunStatus::Completed), (2, RunStatus::Failed), (5, RunStatus::Waiting)] {
            let request =
                ClaimRequest { worker: "w", now: Timestamp(10), until: Timestamp(20), dead_worker: None };
            store.claim(run_id(number), request).await.unwrap();
            end(&store, run_id(number), 1, 50, status).await;
        }
        let ids = async |filter: JobFilter| -> Vec<RunId> {
            store.jobs(&filter).await.unwrap().into_iter().map(|job| job.run.id).collect()
        };
        let all = JobFilter::default();
        assert_eq!(ids(all.clone()).await, [6, 5, 4, 3, 2, 1].map(run_id));
        let local = JobFilter { scope: JobScope::Local, ..all.clone() };
        assert_eq!(ids(JobFilter { limit: 2, before: Some(run_id(4)), ..local.clone() }).await, [3, 2].map(run_id));
        let bobs = JobFilter { scope: JobScope::Remote("user:bob".to_owned()), ..all.clone() };
        assert_eq!(ids(bobs.clone()).await, [6, 5].map(run_id));
        let nobodys = JobFilter { scope: JobScope::Remote("user:ada".to_owned()), ..all.clone() };
        assert!(ids(nobodys).await.is_empty(), "a remote caller of that name did not ask for them");
        let pending = JobFilter { status: Some(JobStatus::Pending), ..all.clone() };
        assert_eq!(ids(pending).await, [6, 4, 3].map(run_id));
        let running = JobFilter { status: Some(JobStatus::Running), ..all.clone() };
        assert_eq!(ids(running.clone()).await, [run_id(5)]);
        assert_eq!(store.jobs(&running).await.unwrap()[0].status(), JobStatus::Running);
        assert!(ids(JobFilter { persona: Some("qa".to_owned()), ..all.clone() }).await.is_empty());

        let counts = store.count_jobs(&JobFilter { before: Some(run_id(2)), ..all }).await.unwrap();
        assert_eq!((counts.pending, counts.running, counts.complete, counts.failed, counts.cancelled), (3, 1, 1, 1, 0));
        assert_eq!(store.count_jobs(&local).await.unwrap().total(), 4);
        assert_eq!(store.count_jobs(&bobs).await.unwrap().total(), 2);
        assert_eq!(store.oldest_job().await.unwrap(), Some(Timestamp(1)));
        let ended = store.job(run_id(1)).await.unwrap().unwrap().summary();
        assert_eq!((ended.started_at, ended.ended_at), (Some(Timestamp(10)), Some(Timestamp(50))));
        assert_eq!(store.run_durations("architect", 10).await.unwrap(), [40]);
        assert!(store.run_durations("qa", 10).await.unwrap().is_empty());
        let jobs = masque_store::RunFilter { job: Some(true), ..masque_store::RunFilter::default() };
        assert_eq!(store.runs(&jobs).await.unwrap().len(), 6);
        let others = masque_store::RunFilter { job: Some(false), ..masque_store::RunFilter::default() };
        assert_eq!(store.runs(&others).await.unwrap()[0].id, run_id(9));
        assert!(store.database_bytes().await.unwrap() > 4096);
        store.close().await.unwrap();
    }

    async fn a_chore_is_done_once_in_its_time(database: &TestDatabase) {
        let (one, two) = (database.open().await, database.open().await);
        let take = async |store: &Store, now: i64| {
            store.take_chore("clean", Timestamp(now), Timestamp(now - 100)).await.unwrap()
        };
        let (a, b) = tokio::join!(take(&one, 1_000), take(&two, 1_000));
        assert!(a != b, "one of the two does it");
        assert!(!take(&one, 1_099).await);
        assert!(take(&two, 1_100).await);
        assert_eq!(one.chore_done_at("clean").await.unwrap(), Some(Timestamp(1_100)));
        assert_eq!(one.chore_done_at("other").await.unwrap(), None);
        one.close().await.unwrap();
        two.close().await.unwrap();
    }

    async fn tokens_are_found_by_digest_and_have_one_name_each(database: &TestDatabase) {
        let store = database.open().await;
        let token = |number: u128, name: &str| StoredToken {
            id: TokenId::from_uuid(uuid::Uuid::from_u128(number)),
            name: name.to_owned(),
            digest: Digest::of(number.to_string()),
            created_at: Timestamp(1),
            created_by: "user:ada".to_owned(),
            expires_at: Some(Timestamp(9)),
            used_at: None,
            revoked_at: None,
        };
        assert!(store.create_token(token(1, "laptop"), &audit()).await.unwrap());
        assert!(!store.create_token(token(2, "laptop"), &audit()).await.unwrap());
        assert_eq!(store.audit_tail(9).await.unwrap().len(), 1, "what did not happen is not in the log");
        store.token_used(token(1, "").id, Timestamp(5)).await.unwrap();
        let found = store.token(&Digest::of("1")).await.unwrap();
        assert_eq!(found, Some(StoredToken { used_at: Some(Timestamp(5)), ..token(1, "laptop") }));
        assert_eq!(store.token(&Digest::of("2")).await.unwrap(), None);
        assert!(store.revoke_token(token(1, "").id, Timestamp(6), &audit()).await.unwrap());
        assert!(!store.revoke_token(token(1, "").id, Timestamp(7), &audit()).await.unwrap());
        assert!(store.create_token(token(2, "laptop"), &audit()).await.unwrap(), "the name is free again");
        let all: Vec<_> = store.tokens().await.unwrap().into_iter().map(|token| token.revoked_at).collect();
        assert_eq!(all, [None, Some(Timestamp(6))]);
        store.close().await.unwrap();
    }
}
