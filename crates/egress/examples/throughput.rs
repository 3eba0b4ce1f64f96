//! How fast bytes and connections go through a broker: a program in a network namespace against a server on loopback.
//!
//! `cargo run --release -p masque-egress --example throughput` prints the figures; a number behind `--` is how many
//! threads the broker's runtime has, 2 if none is given. Needs python3, which makes the namespace and the device, and
//! user namespaces.

#![expect(clippy::print_stdout, reason = "the figures are its output")]

use std::{
    io::{self, Read, Write},
    mem::MaybeUninit,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use masque_egress::{AddressPolicy, Broker, BrokerSpec, DEVICE, Limits, Resolver, Rules, Trust};
use masque_types::BoxFuture;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

const BYTES: u64 = 1 << 30;
const BUFFER: usize = 1 << 20;
const CONNECTIONS: usize = 2000;

/// What a connection's first byte asks of the server.
const GIVE: u8 = 1;
const TAKE: u8 = 2;
const ECHO: u8 = 3;

/// The name that the program connects to.
const NAME: &str = "server.test";

struct Loopback;

impl Resolver for Loopback {
    fn resolve<'a>(&'a self, _name: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)]) })
    }
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("inside"), Some(port)) => measure("through the broker", (NAME, port.parse()?)),
        (threads, _) => outside(threads.map_or(Ok(2), str::parse)?),
    }
}

/// Serves, measures without the broker, and starts the program behind the broker.
fn outside(threads: usize) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    measure("directly", ("127.0.0.1", port))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(behind_broker(port))
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut first = [0];
    stream.read_exact(&mut first)?;
    let mut buffer = vec![7; BUFFER];
    match first {
        [GIVE] => (0..BYTES / BUFFER as u64).try_for_each(|_| stream.write_all(&buffer)),
        [TAKE] => {
            while stream.read(&mut buffer)? > 0 {}
            stream.write_all(&[0])
        }
        _ => stream.write_all(&first),
    }
}

#[expect(clippy::disallowed_methods, reason = "the program runs in a namespace of its own, which a script makes")]
async fn behind_broker(port: u16) -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let script = directory.path().join("namespace.py");
    fs_err::write(&script, include_str!("../tests/it/namespace.py"))?;
    let resolv_conf = directory.path().join("resolv.conf");
    fs_err::write(&resolv_conf, DEVICE.resolv_conf)?;
    let (gate, inside) = UnixStream::pair()?;
    let mut child = Command::new("python3")
        .arg(script)
        .arg(resolv_conf)
        .arg(std::env::current_exe()?)
        .args(["inside", &port.to_string()])
        .stdin(OwnedFd::from(inside))
        .spawn()?;
    let device = receive_device(&gate).context("no device came out of the namespace")?;
    let broker = Broker::start(
        device,
        BrokerSpec {
            rules: Rules::parse(&[format!("{NAME}:*")])?,
            secrets: Vec::new(),
            limits: Limits { bytes_out_per_minute: u64::MAX, ..Limits::STANDARD },
            addresses: AddressPolicy::AllowPrivate,
            trust: Trust::Platform,
            resolver: Arc::new(Loopback),
            observe: Arc::new(|_| {}),
        },
    )?;
    (&gate).write_all(b"g")?;
    let status = tokio::task::spawn_blocking(move || child.wait()).await??;
    broker.close().await;
    anyhow::ensure!(status.success(), "the program failed: {status}");
    Ok(())
}

fn receive_device(gate: &UnixStream) -> Option<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut messages = RecvAncillaryBuffer::new(&mut space);
    recvmsg(gate, &mut [io::IoSliceMut::new(&mut [0])], &mut messages, RecvFlags::CMSG_CLOEXEC).ok()?;
    messages.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    })
}

fn measure(way: &str, server: (&str, u16)) -> anyhow::Result<()> {
    let down = timed(|| {
        let mut stream = open(server, GIVE)?;
        let mut buffer = vec![0; BUFFER];
        while stream.read(&mut buffer)? > 0 {}
        Ok(())
    })?;
    let up = timed(|| {
        let mut stream = open(server, TAKE)?;
        let buffer = vec![7; BUFFER];
        (0..BYTES / BUFFER as u64).try_for_each(|_| stream.write_all(&buffer))?;
        stream.shutdown(std::net::Shutdown::Write)?;
        stream.read_exact(&mut [0])
    })?;
    // The name is looked up once, as programs with a cache do.
    let address = std::net::ToSocketAddrs::to_socket_addrs(&server)?.next().context("no address")?;
    let mut times = (0..CONNECTIONS)
        .map(|_| timed(|| open(address, ECHO)?.read_exact(&mut [0])))
        .collect::<io::Result<Vec<_>>>()?;
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    let rate = |time: Duration| BYTES as f64 / 1e6 / time.as_secs_f64();
    println!(
        "{way}: down {:.0} MB/s, up {:.0} MB/s, connection with one byte there and back p50 {:?}, p99 {:?}",
        rate(down),
        rate(up),
        at(50),
        at(99)
    );
    Ok(())
}

fn open(server: impl std::net::ToSocketAddrs, asked: u8) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.write_all(&[asked])?;
    Ok(stream)
}

fn timed(work: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed())
}
