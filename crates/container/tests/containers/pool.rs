//! Containers shared, of one's own, stopped when idle, and replaced when dead.

use std::time::Duration;

use masque_container::{ContainerSpec, Lease, Pool, Sharing};

use crate::station::{Station, run, script};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);

async fn lease(pool: &Pool, persona: &str, policy: &str, spec: &ContainerSpec) -> Lease {
    pool.lease(persona, policy, spec, Box::new(())).await.unwrap()
}

#[tokio::test]
async fn who_may_share_does_and_others_do_not() {
    let Some(station) = Station::open().await else { return };
    let spec = station.spec();
    let pool = Pool::new(station.engine.clone(), Sharing::Shared, LONG);
    // Two that come at once wait for the same start.
    let (one, two) = tokio::join!(lease(&pool, "one", "p", &spec), lease(&pool, "two", "p", &spec));
    assert_eq!(one.id(), two.id());
    let labelled = ContainerSpec { label: "other".to_owned(), ..spec.clone() };
    assert_eq!(lease(&pool, "three", "p", &labelled).await.id(), one.id());
    assert_ne!(lease(&pool, "three", "other policy", &spec).await.id(), one.id());
    let narrower = ContainerSpec { writable: Vec::new(), ..spec.clone() };
    assert_ne!(lease(&pool, "three", "p", &narrower).await.id(), one.id());
    assert_eq!(station.containers().await.len(), 3);
    pool.close().await;
    assert!(!one.is_alive().await, "used ones are stopped as well");
    drop((one, two));
    let pool = Pool::new(station.engine.clone(), Sharing::Own, LONG);
    let (one, two) = (lease(&pool, "one", "p", &spec).await, lease(&pool, "two", "p", &spec).await);
    assert_ne!(one.id(), two.id());
    let id = one.id().to_owned();
    drop(one);
    assert_eq!(lease(&pool, "one", "p", &spec).await.id(), id, "it is kept for a while");
    pool.close().await;
    station.close().await;
}

#[tokio::test]
async fn idle_ones_are_stopped_used_ones_kept_and_dead_ones_replaced() {
    let Some(station) = Station::open().await else { return };
    let spec = station.spec();
    let pool = Pool::new(station.engine.clone(), Sharing::Own, Duration::from_millis(1));
    let (used, idle) = (lease(&pool, "used", "p", &spec).await, lease(&pool, "idle", "p", &spec).await);
    let id = idle.id().to_owned();
    drop(idle);
    station.gone(&id).await;
    assert_eq!(run(&used, script("echo still")).await.stdout, "still\n");
    let force = bollard::query_parameters::RemoveContainerOptionsBuilder::default().force(true).build();
    station.api.remove_container(used.id(), Some(force)).await.unwrap();
    let replaced = lease(&pool, "used", "p", &spec).await;
    assert_ne!(replaced.id(), used.id());
    assert_eq!(run(&replaced, script("echo anew")).await.stdout, "anew\n");
    pool.close().await;
    station.close().await;
}
