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
        Ok("calls") => calls(),
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
    tell("datagram", UnixDatagram::unbound().and_then(|socket| socket.send_to_addr(b"x", &address)));
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

/// Prints whether a system call was refused. Calls that reach the kernel fail too, here, but in another way.
fn call(name: &str, number: libc::c_long, arguments: [u64; 3], expected: i32) {
    let [first, second, third] = arguments;
    let result = unsafe { libc::syscall(number, first, second, third, 0, 0, 0) };
    let error = std::io::Error::last_os_error().raw_os_error();
    let refused = result == -1 && error == Some(expected);
    println!("\nTRIED {name}: {}", if refused { "refused".to_owned() } else { format!("BROKEN {result} {error:?}") });
}

fn calls() {
    let refused = [
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("userfaultfd", libc::SYS_userfaultfd),
        ("bpf", libc::SYS_bpf),
        ("perf_event_open", libc::SYS_perf_event_open),
        ("keyctl", libc::SYS_keyctl),
        ("add_key", libc::SYS_add_key),
        ("ptrace", libc::SYS_ptrace),
        ("process_vm_readv", libc::SYS_process_vm_readv),
        ("process_vm_writev", libc::SYS_process_vm_writev),
        ("pidfd_getfd", libc::SYS_pidfd_getfd),
        ("fsopen", libc::SYS_fsopen),
        ("open_tree", libc::SYS_open_tree),
        ("move_mount", libc::SYS_move_mount),
        ("setns", libc::SYS_setns),
        ("open_by_handle_at", libc::SYS_open_by_handle_at),
        ("fanotify_init", libc::SYS_fanotify_init),
        ("clock_settime", libc::SYS_clock_settime),
    ];
    for (name, number) in refused {
        call(name, number, [0; 3], libc::EPERM);
    }
    let user = u64::from(libc::CLONE_NEWUSER.unsigned_abs());
    call("unshare", libc::SYS_unshare, [user, 0, 0], libc::EPERM);
    call("clone", libc::SYS_clone, [user | 17, 0, 0], libc::EPERM);
    call("clone, high bits", libc::SYS_clone, [(1 << 40) | user | 17, 0, 0], libc::EPERM);
    call("clone3", libc::SYS_clone3, [0, 0, 0], libc::ENOSYS);
    call("typing", libc::SYS_ioctl, [0, libc::TIOCSTI, 0], libc::EPERM);
    call("typing, high bits", libc::SYS_ioctl, [0, (1 << 40) | libc::TIOCSTI, 0], libc::EPERM);
    for family in [libc::AF_ALG, libc::AF_VSOCK, libc::AF_PACKET, libc::AF_BLUETOOTH] {
        call("socket", libc::SYS_socket, [u64::from(family.unsigned_abs()), 1, 0], libc::EPERM);
    }
    #[cfg(target_arch = "x86_64")]
    call("unshare by the second numbering", 0x4000_0000 | libc::SYS_unshare, [user, 0, 0], libc::EPERM);
    println!("\nDONE");
}
