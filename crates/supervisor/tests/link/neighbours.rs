//! Supervisors of one host that share a directory, one of which is linked with another host.

use std::{os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use masque_fleet::status::{HostStatus, Reach, State};
use masque_supervisor::link::{Peer, Route};

use crate::support::{LIMIT, Plan, Supervisor, host, key};

/// Long enough for a loaded machine, short enough to wait for its end.
const LEASE: Duration = Duration::from_secs(4);

fn neighbour(name: &str) -> Peer {
    Peer { name: name.to_owned(), host: "mainpc".to_owned(), route: Route::Unix }
}

async fn group(name: &str, directory: &Path) -> Supervisor {
    let peers = ["mainpc", "mainpc.audio", "mainpc.core"].into_iter().filter(|peer| *peer != name).map(neighbour);
    let plan = Plan::new(name, peers.collect());
    Plan { key: None, directory: Some(directory), lease: LEASE, ..plan }.start().await
}

fn services(hosts: &[HostStatus]) -> Vec<String> {
    let services = hosts.iter().flat_map(|host| &host.services).map(|service| service.id.to_string());
    let mut services: Vec<String> = services.collect();
    services.sort();
    services
}

#[tokio::test]
async fn groups_of_a_host_and_another_host_know_each_other() {
    let root = tempfile::tempdir().unwrap();
    // Longer than a socket's address may be.
    let directory = root.path().join("d".repeat(100)).join("e".repeat(100));
    fs_err::create_dir_all(&directory).unwrap();
    let mut pc2 = Plan::new("pc2", vec![host("mainpc", &key("mainpc"), None)]).listening().start().await;
    let peers =
        vec![host("pc2", &key("pc2"), Some(pc2.address())), neighbour("mainpc.audio"), neighbour("mainpc.core")];
    let mut mainpc = Plan { directory: Some(&directory), lease: LEASE, ..Plan::new("mainpc", peers) }.start().await;
    let (mut audio, core) = (group("mainpc.audio", &directory).await, group("mainpc.core", &directory).await);

    mainpc.set("mainpc/router", State::Ready);
    audio.set("mainpc/capture", State::Ready);
    core.set("mainpc/twin", State::Starting);
    pc2.set("pc2/cache", State::Ready);
    for (service, state) in
        [("mainpc/router", State::Ready), ("mainpc/twin", State::Starting), ("pc2/cache", State::Ready)]
    {
        audio.knows(service, state).await;
    }
    for (service, state) in [("mainpc/router", State::Ready), ("mainpc/twin", State::Starting)] {
        pc2.knows(service, state).await;
    }
    pc2.knows("mainpc/capture", State::Ready).await;
    mainpc.knows("mainpc/twin", State::Starting).await;

    assert_eq!(services(&audio.link.hosts(LIMIT).await), ["mainpc/router", "mainpc/twin", "pc2/cache"]);
    let seen = pc2.link.hosts(LIMIT).await;
    assert_eq!(services(&seen), ["mainpc/capture", "mainpc/router", "mainpc/twin"]);
    assert_eq!(
        seen.iter().map(|host| (host.host.as_str(), host.reach)).collect::<Vec<_>>(),
        [("mainpc", Reach::Connected)]
    );

    // One container goes; the others, and the other host, do not know its services any more.
    core.link.close().await;
    for side in [&mut audio, &mut pc2] {
        side.until("loss", |side| !side.known.contains_key("mainpc/twin")).await;
        assert!(side.known.contains_key("mainpc/router"), "{:?}", side.known);
    }
    let core = group("mainpc.core", &directory).await;
    core.set("mainpc/twin", State::Ready);
    pc2.knows("mainpc/twin", State::Ready).await;
    for side in [audio, core, mainpc, pc2] {
        side.link.close().await;
    }
    assert_eq!(fs_err::read_dir(&directory).unwrap().count(), 0, "no socket is left");
}

#[tokio::test]
async fn a_directory_that_others_can_write_to_is_refused() {
    let root = tempfile::tempdir().unwrap();
    fs_err::set_permissions(root.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let (_states, states) = tokio::sync::watch::channel(masque_supervisor::link::States::default());
    let (news, _read) = tokio::sync::mpsc::channel(1);
    let spec = masque_supervisor::link::LinkSpec {
        fleet: "test".to_owned(),
        name: "mainpc".to_owned(),
        host: "mainpc".to_owned(),
        tcp: None,
        unix: Some(root.path().to_owned()),
        peers: Vec::new(),
        rhythm: masque_supervisor::link::Rhythm::default(),
        states,
        status: masque_supervisor::link::StatusSource::new(|| Box::pin(std::future::pending())),
        news,
    };
    let refused = masque_supervisor::link::Link::start(spec).await.unwrap_err().to_string();
    assert!(
        refused.ends_with("is open to others: only this user and its group may write there (chmod o-w)"),
        "{refused}"
    );
}
