//! Attacks on the network and on local services.

use std::{
    net::{Ipv4Addr, TcpListener, UdpSocket},
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
};

use masque_sandbox::{
    DeviceSettings, Error, Exit, Isolation, Launcher, Network, NetworkSpace, Profile, place_network_device,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Scene, attack, launchers, output, run, script};

fn settings() -> DeviceSettings {
    DeviceSettings {
        name: "masque0".into(),
        mtu: 65_520,
        address: Ipv4Addr::new(198, 18, 0, 2),
        prefix_length: 15,
        name_server: Ipv4Addr::new(198, 18, 0, 1),
    }
}

/// A network with a device. None, with the reason printed, on machines without such devices; that is a failure on a
/// build machine.
fn space(launcher: &Launcher) -> Option<NetworkSpace> {
    match launcher.network(&settings()) {
        Ok(space) => Some(space),
        Err(error @ Error::Mechanism { .. }) => {
            assert!(std::env::var_os("CI").is_none(), "{error}");
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Protocol, destination and, for TCP and UDP, its port, of all IPv4 packets that wait at the device.
fn packets(device: &OwnedFd) -> Vec<(u8, Ipv4Addr, u16)> {
    let mut found = Vec::new();
    let mut packet = vec![0; 70_000];
    while let Ok(length) = rustix::io::read(device, &mut packet[..]) {
        let packet = &packet[..length];
        if packet[0] >> 4 == 4 {
            let header = usize::from(packet[0] & 15) * 4;
            let port = u16::from_be_bytes([packet[header + 2], packet[header + 3]]);
            found.push((packet[9], Ipv4Addr::new(packet[16], packet[17], packet[18], packet[19]), port));
        }
    }
    found
}

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

/// A8: whatever a program sends, by whatever socket, ends at the device or is refused by the kernel.
#[tokio::test]
async fn everything_that_leaves_goes_through_the_device() {
    for launcher in launchers() {
        if space(&launcher).is_none() {
            return;
        }
        let scene = Scene::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let profile = Profile { network: Network::Broker(settings()), ..scene.profile() };
        let command = attack("device").env("MASQUE_ADDRESS", listener.local_addr().unwrap().to_string());
        let mut child = launcher.spawn(&profile, &command).unwrap();
        let device = child.take_network_device().unwrap();
        assert!(child.take_network_device().is_none());
        let (printed, error) = output(&mut child).await;
        assert!(child.wait().await.unwrap().success(), "{printed}{error}");
        let calls: Vec<_> = printed.lines().filter_map(|line| line.strip_prefix("CALL ")).collect();
        assert_eq!(calls.len(), 16, "{printed}{error}");
        assert!(calls.iter().all(|call| !call.ends_with(" 0")), "{calls:?}");
        assert!(listener.accept().is_err() && printed.contains("LOOPBACK Err"), "{printed}");
        assert!(printed.contains("\nDEVICES lo masque0\n"), "{printed}");
        let seen = packets(&device);
        let (tcp, udp) = (6, 17);
        for expected in [
            (udp, Ipv4Addr::new(192, 0, 2, 1), 53),
            (udp, Ipv4Addr::new(192, 0, 2, 2), 443),
            (udp, Ipv4Addr::new(8, 8, 8, 8), 53),
            (tcp, Ipv4Addr::new(192, 0, 2, 3), 443),
        ] {
            assert!(seen.contains(&expected), "{expected:?} is not in {seen:?}");
        }
    }
}

/// A9: queries go to the given name server only, which stands behind the device.
#[tokio::test]
async fn a_tunnel_through_names_ends_at_the_device() {
    for launcher in launchers() {
        let Some(space) = space(&launcher) else { return };
        let scene = Scene::new();
        let profile = Profile { network: Network::Space(space.clone()), ..scene.profile() };
        let device = space.take_device().unwrap();
        let ended = run(&launcher, &profile, &attack("queries")).await;
        assert!(ended.stdout.contains("\nSENT "), "{ended:?}");
        let seen = packets(&device);
        assert!(!seen.is_empty() && seen.iter().all(|packet| *packet == (17, settings().name_server, 53)), "{seen:?}");
        // Without the other end there is nothing at all.
        drop(device);
        let ended = run(&launcher, &profile, &attack("queries")).await;
        assert!(ended.stdout.contains("\nSENT 0\n"), "{ended:?}");
    }
}

/// Prints the port on which it waits, and what came.
const LISTEN: &str = "/usr/bin/python3 -c 'import socket
s = socket.create_server((\"127.0.0.1\", 0)); print(s.getsockname()[1], flush=True); print(s.accept()[0].recv(9))'";

/// Programs of one space reach each other on the loopback; others do not, and nobody sees foreign processes.
#[tokio::test]
async fn a_space_is_shared_by_its_own_programs_only() {
    if !std::path::Path::new("/usr/bin/python3").exists() {
        println!("skipped: python3 is not installed");
        return;
    }
    for launcher in launchers() {
        let (Some(own), Some(other)) = (space(&launcher), space(&launcher)) else { return };
        assert!(own == own.clone() && own != other);
        let scene = Scene::new();
        let within = |network: &NetworkSpace| Profile { network: Network::Space(network.clone()), ..scene.profile() };
        let mut server = launcher.spawn(&within(&own), &script(LISTEN)).unwrap();
        let mut stdout = server.take_stdout().unwrap();
        let mut port = String::new();
        while !port.ends_with('\n') {
            let mut byte = [0];
            stdout.read_exact(&mut byte).await.unwrap();
            port.push(byte[0].into());
        }
        let client = |network: Network| {
            let text = format!(
                "/usr/bin/python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {})).send(b\"neighbour\")'
                 code=$?; set -- /proc/[0-9]*; echo $# >&2; exit $code",
                port.trim()
            );
            let profile = Profile { network, ..scene.profile() };
            let launcher = launcher.clone();
            async move { run(&launcher, &profile, &script(&text)).await }
        };
        for stranger in [Network::Space(other), Network::None, Network::Host] {
            assert_eq!(client(stranger).await.exit, Exit::Code(1));
        }
        let friend = client(Network::Space(own)).await;
        // The shell alone, not the server.
        assert!(friend.exit.success() && friend.stderr.ends_with("1\n"), "{friend:?}");
        let mut received = String::new();
        stdout.read_to_string(&mut received).await.unwrap();
        assert_eq!(received, "b'neighbour'\n");
    }
}

#[tokio::test]
async fn a_device_can_be_placed_into_the_network_of_a_process() {
    let Some(launcher) = launchers().pop() else { return };
    if space(&launcher).is_none() || !std::path::Path::new("/usr/bin/unshare").exists() {
        println!("skipped: no devices, or no unshare");
        return;
    }
    let scene = Scene::new();
    let profile = Profile { isolation: Isolation::None, ..scene.profile() };
    let text = "exec unshare --user --map-root-user --net sh -c 'echo up; read go; cat /proc/net/dev'";
    let mut child = launcher.spawn(&profile, &script(text).env("PATH", "/usr/bin:/bin")).unwrap();
    let (mut stdin, mut stdout) = (child.take_stdin().unwrap(), child.take_stdout().unwrap());
    let mut up = [0; 3];
    stdout.read_exact(&mut up).await.unwrap();
    let device = place_network_device(child.id(), &settings()).unwrap();
    stdin.write_all(b"go\n").await.unwrap();
    let mut printed = String::new();
    stdout.read_to_string(&mut printed).await.unwrap();
    assert!(printed.contains("masque0:"), "{printed}");
    drop(device);
    child.wait().await.unwrap();
    assert!(matches!(place_network_device(child.id(), &settings()), Err(Error::Mechanism { .. })), "it is gone");
}

/// Files of the sandbox can be read by everyone in it and changed by nobody.
#[tokio::test]
async fn given_files_are_there_and_cannot_be_changed() {
    for launcher in launchers() {
        let scene = Scene::new();
        let mut profile = scene.profile();
        let large = vec![b'x'; 6 << 20];
        profile.files = [("/run/masque/files/ca.pem", b"PEM".to_vec()), ("/run/masque/files/hooks/large", large)]
            .map(|(path, contents)| (path.into(), contents))
            .into();
        let text = "cd /run/masque/files; cat ca.pem; wc -c < hooks/large; exec 2>/dev/null
            echo x > ca.pem || chmod 777 ca.pem || rm -f ca.pem || mv hooks x || touch new || echo kept";
        let ended = run(&launcher, &profile, &script(text)).await;
        assert_eq!(ended.stdout, format!("PEM{}\nkept\n", 6 << 20), "{ended:?}");
        for path in
            ["relative", "/etc/passwd", "/run/masque/files", "/run/masque/files/../masque", "/run/masque/masque"]
        {
            profile.files = [(path.into(), Vec::new())].into();
            assert!(matches!(launcher.spawn(&profile, &script("true")), Err(Error::Path { .. })), "{path}");
        }
    }
}
