//! Attacks that no shell can make, run in a container.

use std::{
    io::Read as _,
    net::TcpStream,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram, UnixStream},
    },
};

/// Not a test: the entry of the attacks, which does nothing unless it is asked to.
#[test]
fn entry() {
    match std::env::var("MASQUE_ATTACK").as_deref() {
        Ok("sockets") => sockets(),
        Ok("first-process") => first_process(),
        _ => {}
    }
}

/// Prints how an attempt ended.
fn tell<T>(name: &str, result: std::io::Result<T>) {
    println!("\nTRIED {name}: {}", result.map_or_else(|error| error.kind().to_string(), |_| "BROKEN".to_owned()));
}

fn sockets() {
    let name = std::env::var("MASQUE_ABSTRACT").unwrap();
    let address = SocketAddr::from_abstract_name(name).unwrap();
    tell("abstract", UnixStream::connect_addr(&address));
    tell("datagram", UnixDatagram::unbound().unwrap().send_to_addr(b"x", &address));
    for path in
        ["/run/masque/control", "/var/run/docker.sock", "/run/podman/podman.sock", "/run/dbus/system_bus_socket"]
    {
        tell(path, UnixStream::connect(path));
    }
    tell("tcp", TcpStream::connect(std::env::var("MASQUE_ADDRESS").unwrap()));
    let udp = std::net::UdpSocket::bind("0.0.0.0:0");
    tell("udp", udp.and_then(|socket| socket.send_to(b"x", "192.0.2.1:53")));
}

fn first_process() {
    for process in ["1", &std::env::var("MASQUE_SUPERVISOR").unwrap_or_else(|_| "1".to_owned())] {
        for file in ["environ", "mem", "maps", "fd/0", "exe", "root/etc", "cwd/etc"] {
            let path = format!("/proc/{process}/{file}");
            let read = std::fs::File::open(&path).and_then(|mut file| file.read(&mut [0; 1]));
            // An empty environment is readable as nothing.
            tell(
                &path,
                read.and_then(|count| if count == 0 { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }),
            );
        }
    }
    for signal in ["KILL", "TERM", "STOP"] {
        let _ = std::process::Command::new("/bin/busybox").args(["kill", "-s", signal, "1"]).status();
    }
    println!("\nALIVE");
}
