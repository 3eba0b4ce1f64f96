//! A broker between an in-memory program and hosts on loopback.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use masque_egress::{AddressPolicy, Broker, BrokerSpec, Event, Limits, Refusal, Resolver, Rules, SecretRule, Trust};
use masque_types::BoxFuture;
use tokio::{
    io::{AsyncReadExt as _, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};

use crate::program::Network;

/// Guards only against hanging.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("the test hangs")
}

/// Names of the tests: each is resolved to its next answer, whatever port is asked for.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) answers: BTreeMap<String, Vec<Vec<SocketAddr>>>,
    pub(crate) asked: AtomicUsize,
}

impl Resolver for Names {
    fn resolve<'a>(&'a self, name: &'a str, _port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            let turn = self.asked.fetch_add(1, Ordering::SeqCst);
            let answers = self.answers.get(name).ok_or_else(|| io::Error::other("no such name"))?;
            Ok(answers[turn.min(answers.len() - 1)].clone())
        })
    }
}

/// What a test's broker is told; the rest is as it should be for tests.
pub(crate) struct Plan {
    pub(crate) rules: Vec<&'static str>,
    pub(crate) names: Names,
    pub(crate) secrets: Vec<SecretRule>,
    pub(crate) limits: Limits,
    pub(crate) addresses: AddressPolicy,
    pub(crate) trust: Trust,
}

impl Plan {
    pub(crate) fn new(rules: &[&'static str]) -> Self {
        Self {
            rules: rules.to_vec(),
            names: Names::default(),
            secrets: Vec::new(),
            limits: Limits::STANDARD,
            addresses: AddressPolicy::AllowPrivate,
            trust: Trust::Roots(Vec::new()),
        }
    }

    /// A name leads to one address.
    pub(crate) fn name(mut self, name: &str, address: SocketAddr) -> Self {
        self.names.answers.insert(name.to_owned(), vec![vec![address]]);
        self
    }

    pub(crate) fn spec(self) -> (BrokerSpec, Arc<Names>, Arc<Told>) {
        let (names, events) = (Arc::new(self.names), Arc::new(Told::default()));
        let told = Arc::clone(&events);
        let spec = BrokerSpec {
            rules: Rules::parse(&self.rules).unwrap(),
            secrets: self.secrets,
            limits: self.limits,
            addresses: self.addresses,
            trust: self.trust,
            resolver: Arc::clone(&names) as Arc<dyn Resolver>,
            observe: Arc::new(move |event| told.push(event)),
        };
        (spec, names, events)
    }

    pub(crate) fn start(self) -> Site {
        let (spec, names, events) = self.spec();
        let (network, port) = Network::new();
        let broker = Broker::start_on(port, spec).unwrap();
        Site { broker, network, names, events }
    }
}

/// What the broker told.
#[derive(Default)]
pub(crate) struct Told {
    events: Mutex<Vec<Event>>,
    more: Notify,
}

impl Told {
    fn push(&self, event: Event) {
        self.events.lock().unwrap().push(event);
        self.more.notify_waiters();
    }

    pub(crate) fn all(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    pub(crate) fn refusals(&self) -> Vec<(String, Refusal)> {
        let refusal = |event| match event {
            Event::Refused { what, why } => Some((what, why)),
            _ => None,
        };
        self.all().into_iter().filter_map(refusal).collect()
    }

    /// Waits until an event is told.
    pub(crate) async fn until(&self, wanted: impl Fn(&Event) -> bool) {
        loop {
            let more = self.more.notified();
            if self.all().iter().any(&wanted) {
                return;
            }
            more.await;
        }
    }
}

/// A broker with a program behind it.
pub(crate) struct Site {
    pub(crate) broker: Broker,
    pub(crate) network: Network,
    pub(crate) names: Arc<Names>,
    pub(crate) events: Arc<Told>,
}

impl Site {
    /// Connects to a name as programs do.
    pub(crate) async fn connect(&mut self, name: &str, port: u16) -> Result<DuplexStream, &'static str> {
        let address = self.network.lookup(name).await.map_err(|_| "no such name")?;
        self.network.connect(address, port).await
    }
}

/// Reads until the other side ends or breaks the connection.
pub(crate) async fn read_all(mut stream: impl tokio::io::AsyncRead + Unpin) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _broken = stream.read_to_end(&mut bytes).await;
    bytes
}

/// A host on loopback that serves each connection with a function.
pub(crate) struct HostServer {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl HostServer {
    pub(crate) async fn new<F, S>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> S + Send + Sync + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut served = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                served.spawn(serve(stream));
            }
        });
        Self { address, connections, _tasks: tasks }
    }

    pub(crate) fn count(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}
