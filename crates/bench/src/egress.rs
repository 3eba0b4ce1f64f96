//! The border's cost: bytes and connections of a confined program through the broker, beside the same without it.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use masque_egress::{AddressPolicy, Broker, BrokerSpec, DEVICE, Limits, Resolver, Rules, Trust};
use masque_sandbox::{Command, DeviceSettings, LandlockUse, Launcher, Network, Profile, masque_path_inside};
use masque_types::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;

use crate::{
    figures::{Row, Section, Unit},
    job::{self, Job},
    places::Places,
    statistics::{median_ms, real},
};

const BYTES: u64 = 1 << 30;
const BUFFER: usize = 1 << 20;
const CONNECTIONS: usize = 1_000;
/// The name that the program connects to.
const NAME: &str = "server.test";

/// What the first byte of a connection asks of the server.
const GIVE: u8 = 1;
const TAKE: u8 = 2;
const ECHO: u8 = 3;

/// One program that loads the server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EgressJob {
    host: String,
    port: u16,
}

/// What it saw.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Passed {
    down_per_second: f64,
    up_per_second: f64,
    connection_ms: f64,
}

/// Measures the border.
pub(crate) fn measure(places: &Places) -> anyhow::Result<Section> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    let direct = EgressJob { host: Ipv4Addr::LOCALHOST.to_string(), port }.run()?;
    let through = job::runtime()?.block_on(behind_broker(places, port))?;
    let megabytes = |rate: f64| rate / 1e6;
    let row = |what, ours: f64, theirs: f64| {
        Row::new(what, Unit::PerSecond, megabytes(ours)).beside("without sandbox", Ok(megabytes(theirs)))
    };
    Ok(Section {
        title: "Network through the broker",
        command: "make bench ARGS=egress",
        about: format!(
            "A confined program against a server on the loopback of this machine, through the network device, the broker's \
             own network stack and a second connection; beside it the same program without a sandbox. {} MB each way; \
             the median of {CONNECTIONS} connections, each with one byte there and back.",
            BYTES / 1_000_000
        ),
        rows: vec![
            row("megabytes to the program", through.down_per_second, direct.down_per_second).at_least(500.0),
            row("megabytes from the program", through.up_per_second, direct.up_per_second).at_least(500.0),
            Row::new("a connection with one byte each way", Unit::Milliseconds, through.connection_ms)
                .beside("without sandbox", Ok(direct.connection_ms)),
            Row::new("added by the broker", Unit::Milliseconds, through.connection_ms - direct.connection_ms)
                .at_most(0.3),
        ],
    })
}

impl EgressJob {
    /// Loads the server, and says what passed.
    pub(crate) fn run(&self) -> anyhow::Result<Passed> {
        let down = timed(|| {
            let mut stream = open((self.host.as_str(), self.port), GIVE)?;
            let mut buffer = vec![0; BUFFER];
            while stream.read(&mut buffer)? > 0 {}
            Ok(())
        })?;
        let up = timed(|| {
            let mut stream = open((self.host.as_str(), self.port), TAKE)?;
            let buffer = vec![7; BUFFER];
            (0..BYTES / BUFFER as u64).try_for_each(|_| stream.write_all(&buffer))?;
            stream.shutdown(std::net::Shutdown::Write)?;
            stream.read_exact(&mut [0])
        })?;
        // The name is looked up once, as programs with a cache do.
        let address = (self.host.as_str(), self.port).to_socket_addrs()?.next().context("the name has no address")?;
        let connections = (0..CONNECTIONS)
            .map(|_| timed(|| open(address, ECHO)?.read_exact(&mut [0])))
            .collect::<io::Result<Vec<_>>>()?;
        let rate = |time: Duration| real(BYTES) / time.as_secs_f64();
        Ok(Passed { down_per_second: rate(down), up_per_second: rate(up), connection_ms: median_ms(&connections) })
    }
}

async fn behind_broker(places: &Places, port: u16) -> anyhow::Result<Passed> {
    let workspace = tempfile::tempdir()?;
    let launcher = Launcher::detect(LandlockUse::IfPresent);
    let space = launcher.network(&DeviceSettings {
        name: DEVICE.name.to_owned(),
        mtu: DEVICE.mtu,
        address: DEVICE.address,
        prefix_length: DEVICE.prefix_length,
        name_server: DEVICE.gateway,
    })?;
    let device = space.take_device().context("the network has no device")?;
    let broker = Broker::start(device, border()?)?;
    let profile = Profile {
        network: Network::Space(space),
        masque: Some(places.bench.clone()),
        ..Profile::new(workspace.path().to_owned())
    };
    let job = serde_json::to_string(&Job::Egress(EgressJob { host: NAME.to_owned(), port }))?;
    let mut child = launcher.spawn(&profile, &Command::new(masque_path_inside()).args(["--job", &job]))?;
    let mut said = String::new();
    child.take_stdout().context("the program has no output")?.read_to_string(&mut said).await?;
    let exit = child.wait().await?;
    broker.close().await;
    anyhow::ensure!(exit.success(), "the program failed in the sandbox: {exit:?}");
    Ok(serde_json::from_str(&said)?)
}

fn border() -> anyhow::Result<BrokerSpec> {
    Ok(BrokerSpec {
        rules: Rules::parse(&[format!("{NAME}:*")])?,
        secrets: Vec::new(),
        limits: Limits { bytes_out_per_minute: u64::MAX, ..Limits::STANDARD },
        addresses: AddressPolicy::AllowPrivate,
        trust: Trust::Platform,
        resolver: Arc::new(Loopback),
        observe: Arc::new(|_| {}),
    })
}

/// Every name is this machine.
struct Loopback;

impl Resolver for Loopback {
    fn resolve<'a>(&'a self, _name: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)]) })
    }
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

fn open(server: impl ToSocketAddrs, asked: u8) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.write_all(&[asked])?;
    Ok(stream)
}

fn timed(work: impl FnOnce() -> io::Result<()>) -> io::Result<Duration> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}
