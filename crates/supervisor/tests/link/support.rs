//! Supervisors' links on the loopback address, and a wire between them that can be cut.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use masque_fleet::{
    model::ServiceId,
    status::{HostStatus, Reach, ServiceStatus, State},
};
use masque_home::identity::KeyPair;
use masque_supervisor::link::{Link, LinkSpec, News, Peer, Rhythm, Route, States, StatusSource, Tcp};
use masque_types::time::Timestamp;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, tcp},
    sync::{mpsc, watch},
    task::JoinSet,
    time::timeout,
};

/// Guards against hanging only.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The key of a host in these tests.
pub(crate) fn key(host: &str) -> KeyPair {
    let mut seed = [0; 32];
    seed.iter_mut().zip(host.bytes()).for_each(|(seed, byte)| *seed = byte);
    KeyPair::from_seed(&seed)
}

/// A peer over the network whose key is that of the host, unless another one is wanted.
pub(crate) fn host(name: &str, key: &KeyPair, address: Option<SocketAddr>) -> Peer {
    let address = address.map(|address| address.to_string());
    Peer { name: name.to_owned(), host: name.to_owned(), route: Route::Tcp { key: key.public(), address } }
}

/// A running link.
pub(crate) struct Supervisor {
    pub(crate) link: Link,
    states: watch::Sender<States>,
    news: mpsc::Receiver<News>,
    /// What is known of others' services by the news so far.
    pub(crate) known: BTreeMap<String, State>,
    /// The other news so far.
    pub(crate) told: Vec<News>,
}

/// How a link is started, with what most tests leave as it is.
pub(crate) struct Plan<'a> {
    pub(crate) name: &'a str,
    pub(crate) fleet: &'a str,
    pub(crate) key: Option<KeyPair>,
    pub(crate) listens: bool,
    pub(crate) directory: Option<&'a Path>,
    pub(crate) peers: Vec<Peer>,
    pub(crate) lease: Duration,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(name: &'a str, peers: Vec<Peer>) -> Self {
        let key = Some(key(name));
        Self { name, fleet: "test", key, listens: false, directory: None, peers, lease: Duration::from_secs(60) }
    }

    pub(crate) fn listening(self) -> Self {
        Self { listens: true, ..self }
    }

    pub(crate) async fn start(self) -> Supervisor {
        let host = self.name.split('.').next().unwrap().to_owned();
        let (states, own) = watch::channel(States::default());
        let (sender, news) = mpsc::channel(16);
        let source = (host.clone(), own.clone());
        let spec = LinkSpec {
            fleet: self.fleet.to_owned(),
            name: self.name.to_owned(),
            host,
            tcp: self.key.map(|key| Tcp { key, listen: self.listens.then(|| "127.0.0.1:0".to_owned()) }),
            unix: self.directory.map(Path::to_owned),
            peers: self.peers,
            rhythm: Rhythm { beat: Duration::from_millis(50), lease: self.lease },
            states: own,
            status: StatusSource::new(move || Box::pin(std::future::ready(status(&source.0, &source.1.borrow())))),
            news: sender,
        };
        let link = Link::start(spec).await.unwrap();
        Supervisor { link, states, news, known: BTreeMap::new(), told: Vec::new() }
    }
}

fn status(host: &str, states: &States) -> HostStatus {
    let services = states.iter().map(|(id, state)| ServiceStatus {
        id: id.clone(),
        group: None,
        state: *state,
        why: Vec::new(),
        blocked_on: Vec::new(),
        substituted_by: None,
        pid: None,
        port: None,
        since: Timestamp(0),
        started_at: None,
        ready_after: None,
        restarts: 0,
        last_end: None,
        last_check: None,
        memory_bytes: None,
        dropped_bytes: 0,
    });
    HostStatus {
        host: host.to_owned(),
        reach: Reach::Here,
        supervisor: Some(1),
        age: Duration::ZERO,
        services: services.collect(),
    }
}

impl Supervisor {
    pub(crate) fn address(&self) -> SocketAddr {
        self.link.address().unwrap()
    }

    pub(crate) fn set(&self, service: &str, state: State) {
        let id = ServiceId::try_from(service.to_owned()).unwrap();
        self.states.send_modify(|states| {
            Arc::make_mut(states).insert(id, state);
        });
    }

    /// Takes news until it is as wanted.
    pub(crate) async fn until(&mut self, what: &str, wanted: impl Fn(&Self) -> bool) {
        while !wanted(self) {
            let Ok(news) = timeout(LIMIT, self.news.recv()).await else {
                panic!("no {what}: known {:?}, told {:?}, {:?}", self.known, self.told, self.link.peers());
            };
            match news.unwrap() {
                News::States(states) => {
                    for (id, state) in states {
                        match state {
                            Some(state) => self.known.insert(id.to_string(), state),
                            None => self.known.remove(&id.to_string()),
                        };
                    }
                }
                other => self.told.push(other),
            }
        }
    }

    /// Until it knows that service in that state.
    pub(crate) async fn knows(&mut self, service: &str, state: State) {
        let what = format!("{service} {}", state.word());
        self.until(&what, |this| this.known.get(service) == Some(&state)).await;
    }

    /// The first trouble that is told.
    pub(crate) async fn trouble(&mut self) -> String {
        let why = |news: &News| match news {
            News::Trouble { why, .. } => Some(why.clone()),
            _ => None,
        };
        self.until("trouble", |this| this.told.iter().any(|news| why(news).is_some())).await;
        self.told.iter().find_map(why).unwrap()
    }
}

/// What a wire does with bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// It carries them.
    Open,
    /// It holds them, and accepts connections that it does not carry on.
    Held,
    /// It ends all connections, and new ones at once.
    Cut,
    /// It lets one direction end and holds the other one.
    HalfClosed,
}

/// A wire to an address, which also keeps what the dialling side said.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) mode: watch::Sender<Wire>,
    pub(crate) said: Arc<Mutex<Vec<u8>>>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, said) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (mode, seen) = watch::channel(Wire::Open);
        let mut tasks = JoinSet::new();
        let kept = said.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                connections.spawn(join(near, target, seen.clone(), kept.clone()));
            }
        });
        Self { address, mode, said, _tasks: tasks }
    }
}

async fn join(near: TcpStream, target: SocketAddr, mode: watch::Receiver<Wire>, said: Arc<Mutex<Vec<u8>>>) {
    let far = TcpStream::connect(target).await.unwrap();
    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
    let back = async {
        tokio::select! {
            () = becomes(mode.clone(), Wire::HalfClosed) => {}
            () = carry(from_far, to_near, mode.clone(), None) => {}
        }
        // The dialling side has seen an end; the other one sees nothing.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = becomes(mode.clone(), Wire::Cut) => {}
        ((), ()) = async { tokio::join!(carry(from_near, to_far, mode.clone(), Some(said)), back) } => {}
    }
}

async fn becomes(mut mode: watch::Receiver<Wire>, wanted: Wire) {
    let _ = mode.wait_for(|mode| *mode == wanted).await;
}

async fn carry(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    mut mode: watch::Receiver<Wire>,
    said: Option<Arc<Mutex<Vec<u8>>>>,
) {
    let mut bytes = vec![0; 1 << 14];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if mode.wait_for(|mode| *mode == Wire::Open).await.is_err() {
            return;
        }
        if let Some(said) = &said {
            said.lock().unwrap().extend(&bytes[..count]);
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
