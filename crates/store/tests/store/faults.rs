//! Injected faults: what a caller sees, and that the store goes on.

use masque_store::{Append, Error, FaultPoint, Faults, Store};
use masque_testkit::sample::{event, head, new_run, run_id};
use masque_types::{id::Seq, run::RunStatus};

fn append(seq: Seq) -> Append {
    Append::new(run_id(1), 0, vec![event(seq, 0, "next")], head(RunStatus::Running))
}

async fn last_seq(store: &Store) -> Seq {
    store.run(run_id(1)).await.unwrap().unwrap().last_seq
}

#[tokio::test]
async fn a_commit_fails_before_or_after_it_is_durable() {
    let faults = Faults::new();
    let store = Store::in_memory_with_faults(faults.clone()).await.unwrap();
    store.create_run(new_run(run_id(1))).await.unwrap();
    assert_eq!(faults.commits(), 1);

    faults.fail_next(FaultPoint::BeforeCommit);
    assert_eq!(store.append(append(2)).await, Err(Error::Injected { commit: 2 }));
    assert_eq!(last_seq(&store).await, 1);
    store.append(append(2)).await.unwrap();

    faults.fail(4, FaultPoint::AfterCommit);
    assert_eq!(store.append(append(3)).await, Err(Error::Injected { commit: 4 }));
    assert_eq!(last_seq(&store).await, 3);
    assert!(matches!(store.append(append(3)).await, Err(Error::OutOfOrder { expected: 4, .. })));
    store.append(append(4)).await.unwrap();
    assert_eq!(faults.remaining(), 0);
    store.close().await.unwrap();
}

#[tokio::test]
async fn seeds_strike_once_and_everywhere() {
    let mut struck = std::collections::BTreeSet::new();
    for seed in 0..60 {
        let faults = Faults::seeded(seed, 4);
        let store = Store::in_memory_with_faults(faults.clone()).await.unwrap();
        let mut failed = Vec::new();
        while faults.remaining() > 0 {
            let next = if store.run(run_id(1)).await.unwrap().is_none() {
                store.create_run(new_run(run_id(1))).await
            } else {
                store.append(append(last_seq(&store).await + 1)).await
            };
            failed.extend(next.err().map(|error| (error.to_string(), faults.commits())));
        }
        let stored = match store.run(run_id(1)).await.unwrap() {
            Some(run) => run.last_seq == faults.commits(),
            None => false,
        };
        assert_eq!(failed.len(), 1);
        struck.insert((faults.commits(), stored));
        store.close().await.unwrap();
    }
    assert_eq!(struck.len(), 8, "{struck:?}");
}
