//! Attacks on the network and on local services.

use std::{
    net::{TcpListener, UdpSocket},
    os::linux::net::SocketAddrExt,
    os::unix::net::{SocketAddr, UnixListener},
};

use masque_sandbox::{Network, Profile};

use crate::support::{Scene, attack, launchers, run};

/// What `attack::connect` printed for a listener of this test.
async fn connect(network: Network) -> Vec<(String, bool)> {
    let mut seen = Vec::new();
    for launcher in launchers() {
        let scene = Scene::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let datagrams = UdpSocket::bind(listener.local_addr().unwrap()).unwrap();
        listener.set_nonblocking(true).unwrap();
        datagrams.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let profile = Profile { network: network.clone(), ..scene.profile() };
        let ended = run(&launcher, &profile, &attack("connect").env("MASQUE_ADDRESS", address)).await;
        let arrived = listener.accept().is_ok() || datagrams.recv(&mut [0; 8]).is_ok();
        seen.push((ended.stdout, arrived));
    }
    seen
}

#[tokio::test]
async fn without_network_nothing_is_reached() {
    for (printed, arrived) in connect(Network::None).await {
        assert!(!arrived && printed.contains("\nTCP ") && printed.contains("\nUDP "), "{printed}");
        assert!(!printed.contains("TCP connected") && !printed.contains("UDP sent"), "{printed}");
    }
}

#[tokio::test]
async fn granted_network_is_reached() {
    for (printed, arrived) in connect(Network::Host).await {
        assert!(arrived && printed.contains("TCP connected") && printed.contains("UDP sent"), "{printed}");
    }
}

#[tokio::test]
async fn other_sockets_do_not_exist_even_with_network() {
    for launcher in launchers() {
        for network in [Network::None, Network::Host] {
            let scene = Scene::new();
            // Services of the host that a local socket would reach.
            let _by_path = UnixListener::bind(scene.workspace().join("service")).unwrap();
            let name = format!("masque-{}-{network:?}", std::process::id());
            let abstract_name = SocketAddr::from_abstract_name(name.as_bytes());
            let _by_name = abstract_name.and_then(|address| UnixListener::bind_addr(&address));
            let profile = Profile { network, ..scene.profile() };
            let ended = run(&launcher, &profile, &attack("sockets")).await;
            let calls: Vec<_> = ended.stdout.lines().filter_map(|line| line.strip_prefix("CALL ")).collect();
            assert_eq!(calls.len(), 27, "{ended:?}");
            assert!(calls.iter().all(|call| call.ends_with(&format!(" {}", libc::EPERM))), "{calls:?}");
        }
    }
}
