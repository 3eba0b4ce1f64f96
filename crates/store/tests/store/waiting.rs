//! Watches: woken by this program's writes and by other programs'; and a closed store.

use std::time::Duration;

use masque_store::{Append, Error, RunFilter};
use masque_testkit::{
    on_both_databases,
    sample::{event, head, new_run, run_id},
};
use masque_types::run::RunStatus;

on_both_databases! {
    async fn followers_see_every_event_of_both_programs(database: &TestDatabase) {
        let (one, two) = (database.open().await, database.open().await);
        let run = run_id(1);
        let mut any = two.watch_any();
        one.create_run(new_run(run)).await.unwrap();
        while two.run(run).await.unwrap().is_none() {
            any.changed().await;
        }
        let follow = async |store: &masque_store::Store| {
            let mut watch = store.watch(run);
            let mut seen = 0;
            while seen < 20 {
                let events = store.journal(run, seen).await.unwrap();
                match events.last() {
                    Some(last) => seen = last.seq,
                    None => watch.changed().await,
                }
            }
        };
        let write = async {
            for seq in 2..=20 {
                let append = Append::new(run, 0, vec![event(seq, 0, "next")], head(RunStatus::Running));
                one.append(append).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let all = async { tokio::join!(follow(&one), follow(&two), write) };
        // Only a guard: a follower that is never woken would wait for ever.
        tokio::time::timeout(Duration::from_secs(60), all).await.unwrap();
        let thousands: Vec<_> = (0..5000).map(|number| one.watch(run_id(number))).collect();
        drop(thousands);
        one.close().await.unwrap();
        two.close().await.unwrap();
    }

    async fn a_closed_store_says_so_and_has_kept_what_was_queued(database: &TestDatabase) {
        let store = database.open().await;
        let run = run_id(1);
        store.create_run(new_run(run)).await.unwrap();
        let queued = store.append(Append::new(run, 0, vec![event(2, 0, "last")], head(RunStatus::Running)));
        let (clone, mut watch) = (store.clone(), store.watch(run_id(2)));
        let (closed, ()) = tokio::join!(store.close(), watch.changed());
        closed.unwrap();
        queued.await.unwrap();
        assert_eq!(clone.create_run(new_run(run_id(3))).await, Err(Error::Closed));
        assert_eq!(clone.runs(&RunFilter::default()).await, Err(Error::Closed));
        let again = database.open().await;
        assert_eq!(again.journal(run, 0).await.unwrap().len(), 2);
        again.close().await.unwrap();
    }
}
