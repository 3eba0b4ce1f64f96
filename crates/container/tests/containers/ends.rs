//! Containers end with their owner, and nothing of them remains.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use bollard::{models::ContainerCreateBody, query_parameters::CreateContainerOptions};
use masque_container::Error;

use crate::station::{IMAGE, Station, script};

#[tokio::test]
async fn nothing_remains_of_a_container_that_was_stopped_dropped_or_removed() {
    let Some(station) = Station::open().await else { return };
    let guard: Arc<()> = Arc::default();
    let watched: Weak<()> = Arc::downgrade(&guard);
    let stopped = station.engine.start(&station.spec(), Box::new(guard)).await.unwrap();
    assert!(watched.upgrade().is_some());
    assert_eq!(station.containers().await, [stopped.id()]);
    stopped.stop().await.unwrap();
    assert!(station.containers().await.is_empty() && watched.upgrade().is_none());
    // Its socket is closed, as when its owner dies.
    let dropped = station.start(&station.spec()).await;
    let id = dropped.id().to_owned();
    drop(dropped);
    station.gone(&id).await;
    let removed = station.start(&station.spec()).await;
    let force = bollard::query_parameters::RemoveContainerOptionsBuilder::default().force(true).build();
    station.api.remove_container(removed.id(), Some(force)).await.unwrap();
    assert!(!removed.is_alive().await);
    assert!(matches!(removed.exec(script("true")).await, Err(Error::Gone)));
    removed.stop().await.unwrap();
    station.close().await;
}

#[tokio::test]
async fn only_containers_of_dead_owners_are_swept() {
    let Some(station) = Station::open().await else { return };
    let alive = station.start(&station.spec()).await;
    let found =
        station.api.inspect_container(alive.id(), None::<bollard::query_parameters::InspectContainerOptions>).await;
    let labels = found.unwrap().config.unwrap().labels.unwrap();
    let (name, owner) = labels.iter().find(|(name, _)| name.contains("masque")).unwrap();
    // The same process number, started at another time.
    let dead = owner.split(' ').enumerate().map(|(number, word)| if number == 1 { "1" } else { word });
    let dead = dead.collect::<Vec<_>>().join(" ");
    let mut made = Vec::new();
    for label in [Some(dead.as_str()), Some("not an owner"), None] {
        let body = ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            cmd: Some(vec!["/bin/sleep".to_owned()]),
            labels: label.map(|label| HashMap::from([(name.clone(), label.to_owned())])),
            ..ContainerCreateBody::default()
        };
        made.push(station.api.create_container(None::<CreateContainerOptions>, body).await.unwrap().id);
    }
    assert_eq!(station.engine.sweep().await.unwrap(), [made[0].clone()]);
    assert_eq!(station.engine.sweep().await.unwrap(), Vec::<String>::new());
    assert_eq!(station.containers().await.len(), 2, "one has no label");
    for id in &made[1..] {
        station.api.remove_container(id, None::<bollard::query_parameters::RemoveContainerOptions>).await.unwrap();
    }
    alive.stop().await.unwrap();
    station.close().await;
}
