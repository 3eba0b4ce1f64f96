//! What happens when the wire between two hosts is cut, held, half closed, or full of strangers.

use std::time::Duration;

use masque_fleet::status::{Reach, State};
use masque_supervisor::link::News;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::support::{LIMIT, Plan, Proxy, Supervisor, Wire, host, key};

/// Two hosts, the first of which dials the second through a wire.
async fn pair(lease: Duration) -> (Supervisor, Supervisor, Proxy) {
    let pc2 = Plan { lease, ..Plan::new("pc2", vec![host("mainpc", &key("mainpc"), None)]).listening() }.start().await;
    let wire = Proxy::to(pc2.address()).await;
    let peers = vec![host("pc2", &key("pc2"), Some(wire.address))];
    let mainpc = Plan { lease, ..Plan::new("mainpc", peers) }.start().await;
    (mainpc, pc2, wire)
}

#[tokio::test]
async fn both_sides_know_each_other_and_a_partition_is_told_and_healed() {
    let (mut mainpc, mut pc2, wire) = pair(Duration::from_secs(1)).await;
    mainpc.set("mainpc/router", State::Ready);
    pc2.set("pc2/cache", State::Starting);
    mainpc.knows("pc2/cache", State::Starting).await;
    pc2.knows("mainpc/router", State::Ready).await;
    for broken in [Wire::Held, Wire::Cut, Wire::HalfClosed] {
        wire.mode.send_replace(broken);
        let is_lost = |side: &Supervisor| side.known.is_empty();
        mainpc.until("loss", is_lost).await;
        pc2.until("loss", is_lost).await;
        assert!(mainpc.told.contains(&News::Lost { peer: "pc2".to_owned() }), "{broken:?}: {:?}", mainpc.told);
        assert_eq!(mainpc.link.peers()[0].reach, Reach::Lost);
        pc2.set("pc2/cache", if broken == Wire::Held { State::Ready } else { State::Degraded });
        wire.mode.send_replace(Wire::Open);
        mainpc.until("healing", |side| side.known.contains_key("pc2/cache")).await;
        pc2.knows("mainpc/router", State::Ready).await;
        pc2.set("pc2/cache", State::Stopped);
        mainpc.knows("pc2/cache", State::Stopped).await;
    }
    mainpc.link.close().await;
    pc2.link.close().await;
}

#[tokio::test]
async fn a_connection_that_breaks_and_comes_again_within_its_lease_is_no_loss() {
    let (mut mainpc, mut pc2, wire) = pair(LIMIT).await;
    pc2.set("pc2/cache", State::Ready);
    mainpc.knows("pc2/cache", State::Ready).await;
    for state in [State::Degraded, State::Failed, State::Ready] {
        wire.mode.send_replace(Wire::Cut);
        pc2.set("pc2/cache", state);
        wire.mode.send_replace(Wire::Open);
        mainpc.knows("pc2/cache", state).await;
    }
    mainpc.set("mainpc/router", State::Ready);
    pc2.knows("mainpc/router", State::Ready).await;
    assert_eq!(mainpc.told, [News::Connected { peer: "pc2".to_owned() }]);
    assert_eq!(pc2.told, [News::Connected { peer: "mainpc".to_owned() }]);
}

#[tokio::test]
async fn each_host_tells_everything_about_its_services_when_asked() {
    let (mut mainpc, pc2, wire) = pair(LIMIT).await;
    let unknown = mainpc.link.hosts(Duration::ZERO).await;
    assert_eq!((unknown[0].host.as_str(), unknown[0].services.len()), ("pc2", 0));
    pc2.set("pc2/cache", State::Ready);
    mainpc.knows("pc2/cache", State::Ready).await;
    let told = mainpc.link.hosts(LIMIT).await;
    assert_eq!((told[0].host.as_str(), told[0].reach), ("pc2", Reach::Connected));
    assert_eq!(told[0].services[0].state, State::Ready);
    wire.mode.send_replace(Wire::Cut);
    pc2.link.close().await;
    let last = mainpc.link.hosts(Duration::from_millis(10)).await;
    assert_eq!(last[0].services, told[0].services, "the last that was heard");
    assert!(last[0].age >= told[0].age);
}

#[tokio::test]
async fn strangers_cannot_keep_a_peer_out() {
    let pc2 = Plan::new("pc2", vec![host("mainpc", &key("mainpc"), None)]).listening().start().await;
    let mut strangers = Vec::new();
    for _ in 0..300 {
        strangers.push(TcpStream::connect(pc2.address()).await.unwrap());
    }
    let mut mainpc = Plan::new("mainpc", vec![host("pc2", &key("pc2"), Some(pc2.address()))]).start().await;
    pc2.set("pc2/cache", State::Ready);
    mainpc.knows("pc2/cache", State::Ready).await;
    // The first of them was ended to make room.
    let mut first = strangers.swap_remove(0);
    let ended = timeout(LIMIT, first.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    // Whoever is known is not pushed out by more of them.
    for _ in 0..300 {
        let mut stranger = TcpStream::connect(pc2.address()).await.unwrap();
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        strangers.push(stranger);
    }
    pc2.set("pc2/cache", State::Degraded);
    mainpc.knows("pc2/cache", State::Degraded).await;
    assert_eq!(mainpc.told, [News::Connected { peer: "pc2".to_owned() }]);
}
