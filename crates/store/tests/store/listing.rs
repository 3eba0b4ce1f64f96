//! Listings: filters, pages, many runs, beginnings of ids.

use masque_store::RunFilter;
use masque_testkit::{
    on_both_databases,
    sample::{new_run, run_id},
};
use masque_types::run::RunStatus;

on_both_databases! {
    async fn ten_thousand_runs_newest_first_in_pages(database: &TestDatabase) {
        let store = database.open().await;
        let created = (1..=10_000).map(|number| {
            let mut new = new_run(run_id(number));
            new.status = if number % 100 == 0 { RunStatus::Failed } else { RunStatus::Completed };
            if number % 3 == 0 {
                new.persona = "engineer".to_owned();
            }
            let store = store.clone();
            async move { store.create_run(new).await }
        });
        for result in futures::future::join_all(created).await {
            result.unwrap();
        }
        let ids = async |filter: RunFilter| -> Vec<u128> {
            let listed = store.runs(&filter).await.unwrap();
            let number = |id| (1..=10_000).rev().find(|number| run_id(*number) == id).unwrap();
            listed.into_iter().take(3).map(|run| number(run.id)).collect()
        };
        let all = RunFilter { limit: 20_000, ..RunFilter::default() };
        assert_eq!(store.runs(&all).await.unwrap().len(), 10_000);
        assert_eq!(ids(all.clone()).await, [10_000, 9_999, 9_998]);
        assert_eq!(ids(RunFilter { before: Some(run_id(9_999)), ..all.clone() }).await, [9_998, 9_997, 9_996]);
        let failed = RunFilter { status: Some(RunStatus::Failed), ..all.clone() };
        assert_eq!(store.runs(&failed).await.unwrap().len(), 100);
        let both = RunFilter { persona: Some("engineer".to_owned()), before: Some(run_id(9_900)), limit: 2, ..failed };
        assert_eq!(ids(both).await, [9_600, 9_300]);

        let id = run_id(9_998);
        let printed = id.to_string();
        assert_eq!(store.find_runs(&printed).await.unwrap(), [id]);
        assert_eq!(store.find_runs(&printed["run_".len()..].to_ascii_uppercase()).await.unwrap(), [id]);
        assert_eq!(store.find_runs("run_0").await.unwrap().len(), 10);
        assert_eq!(store.find_runs("run_7").await.unwrap(), []);
        assert_eq!(store.find_runs("%").await.unwrap(), []);
        store.close().await.unwrap();
    }
}
