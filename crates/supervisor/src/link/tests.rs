//! Leases, partitions and hostile peers, by a clock that the tests turn.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use masque_fleet::{
    model::ServiceId,
    status::{HostStatus, Reach, State},
};
use masque_home::identity::KeyPair;
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, advance, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    News, Peer, Rhythm, Route, StatusSource,
    connection::converse,
    frame::{self, Body, FRAME_BYTES, Frame},
    spec::LinkSpec,
    table::Shared,
    teller,
};

const BEAT: Duration = Duration::from_secs(1);

/// One supervisor's link without sockets: streams are handed to it.
struct Side {
    shared: Arc<Shared>,
    states: watch::Sender<super::States>,
    news: mpsc::Receiver<News>,
    tasks: JoinSet<()>,
}

impl Side {
    fn new(host: &str, peer: &str) -> Self {
        let (states, own) = watch::channel(super::States::default());
        let (sender, news) = mpsc::channel(1);
        let key = KeyPair::from_seed(&[7; 32]).public();
        let told = HostStatus {
            host: host.to_owned(),
            reach: Reach::Here,
            supervisor: Some(1),
            age: Duration::ZERO,
            services: Vec::new(),
        };
        let spec = LinkSpec {
            fleet: "test".to_owned(),
            name: host.to_owned(),
            host: host.to_owned(),
            tcp: None,
            unix: None,
            peers: vec![Peer {
                name: peer.to_owned(),
                host: peer.to_owned(),
                route: Route::Tcp { key, address: None },
            }],
            rhythm: Rhythm { beat: BEAT, lease: 5 * BEAT },
            states: own,
            status: StatusSource::new(move || Box::pin(std::future::ready(told.clone()))),
            news: sender,
        };
        let shared = Arc::new(Shared::new(&spec, CancellationToken::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(teller::run(shared.clone(), spec.states, spec.news));
        Self { shared, states, news, tasks }
    }

    fn connect(&mut self, stream: DuplexStream) {
        let shared = self.shared.clone();
        self.tasks.spawn(async move {
            if let Err(error) = converse(&shared, 0, stream, Instant::now()).await {
                shared.trouble(0, &error);
            }
        });
    }

    fn set(&self, service: &str, state: State) {
        let host = self.shared.host.clone();
        self.states.send_modify(|states| {
            Arc::make_mut(states).insert(ServiceId::new(host, service), state);
        });
    }

    async fn next(&mut self) -> News {
        self.news.recv().await.unwrap()
    }

    /// Everything that is told until nothing more comes for that time.
    async fn quiet(&mut self, within: Duration) -> Vec<News> {
        let mut told = Vec::new();
        while let Ok(news) = tokio::time::timeout(within, self.next()).await {
            told.push(news);
        }
        told
    }
}

/// Carries bytes between two sides, unless it is cut: then it holds them.
fn wire(first: &mut Side, second: &mut Side) -> watch::Sender<bool> {
    let ((near, left), (right, far)) = (duplex(1 << 16), duplex(1 << 16));
    first.connect(near);
    second.connect(far);
    let (gate, open) = watch::channel(true);
    let ((from_left, to_left), (from_right, to_right)) = (tokio::io::split(left), tokio::io::split(right));
    first.tasks.spawn(carry(from_left, to_right, open.clone()));
    first.tasks.spawn(carry(from_right, to_left, open));
    gate
}

async fn carry(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    mut open: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 1 << 12];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if open.wait_for(|open| *open).await.is_err() || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

fn known(service: &str, state: Option<State>) -> News {
    News::States(vec![(ServiceId::new("pc2", service), state)])
}

#[tokio::test(start_paused = true)]
async fn a_partition_is_told_after_the_lease_and_healing_tells_everything() {
    let (mut here, mut there) = (Side::new("mainpc", "pc2"), Side::new("pc2", "mainpc"));
    there.set("cache", State::Starting);
    let gate = wire(&mut here, &mut there);
    assert_eq!(here.next().await, News::Connected { peer: "pc2".to_owned() });
    assert_eq!(here.next().await, known("cache", Some(State::Starting)));
    there.set("cache", State::Ready);
    let asked = Instant::now();
    assert_eq!(here.next().await, known("cache", Some(State::Ready)));
    assert!(asked.elapsed() < BEAT, "a change is told at once, not with the next beat");

    sleep(10 * BEAT).await;
    gate.send_replace(false);
    sleep(3 * BEAT).await;
    gate.send_replace(true);
    assert_eq!(here.quiet(20 * BEAT).await, [], "a few lost beats are no partition");

    let cut = Instant::now();
    gate.send_replace(false);
    assert_eq!(here.next().await, News::Lost { peer: "pc2".to_owned() });
    assert!((3 * BEAT..=6 * BEAT).contains(&cut.elapsed()), "{:?}", cut.elapsed());
    assert_eq!(here.next().await, known("cache", None));
    there.set("cache", State::Degraded);
    gate.send_replace(true);
    assert_eq!(here.quiet(20 * BEAT).await, [], "what waited in the wire is of an ended connection");

    wire(&mut here, &mut there);
    assert_eq!(here.next().await, News::Connected { peer: "pc2".to_owned() });
    assert_eq!(here.next().await, known("cache", Some(State::Degraded)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_replaced_within_its_lease_is_no_news() {
    let (mut here, mut there) = (Side::new("mainpc", "pc2"), Side::new("pc2", "mainpc"));
    there.set("cache", State::Ready);
    let first = wire(&mut here, &mut there);
    assert_eq!(here.quiet(BEAT).await.len(), 2);
    first.send_replace(false);
    there.set("cache", State::Failed);
    wire(&mut here, &mut there);
    assert_eq!(here.next().await, known("cache", Some(State::Failed)));
    first.send_replace(true);
    assert_eq!(here.quiet(20 * BEAT).await, [], "the old connection has nothing more to say");
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_the_newest_states_only() {
    let (mut here, mut there) = (Side::new("mainpc", "pc2"), Side::new("pc2", "mainpc"));
    let gate = wire(&mut here, &mut there);
    assert_eq!(here.quiet(BEAT).await.len(), 1);
    gate.send_replace(false);
    for round in 0..5_000 {
        there.set(&format!("s{}", round % 50), if round < 4_950 { State::Waiting } else { State::Ready });
        tokio::task::yield_now().await;
    }
    gate.send_replace(true);
    let told = here.quiet(BEAT).await;
    let frames = told.len();
    let mut last = BTreeMap::new();
    for news in told {
        let News::States(states) = news else { panic!("{news:?}") };
        last.extend(states);
    }
    assert!(frames < 1_000, "5000 changes came as {frames} news");
    assert_eq!(last.len(), 50);
    assert!(last.values().all(|state| *state == Some(State::Ready)));
}

#[tokio::test(start_paused = true)]
async fn time_in_which_the_process_itself_stood_still_ends_no_lease() {
    let (mut here, mut there) = (Side::new("mainpc", "pc2"), Side::new("pc2", "mainpc"));
    there.set("cache", State::Ready);
    wire(&mut here, &mut there);
    assert_eq!(here.quiet(2 * BEAT).await.len(), 2);
    advance(30 * BEAT).await;
    wire(&mut here, &mut there);
    assert_eq!(here.quiet(20 * BEAT).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_hostile_peer_is_cut_off_and_what_it_told_does_not_count() {
    let of_another = Body::All(BTreeMap::from([(ServiceId::new("mainpc", "secrets"), State::Ready)]));
    let unasked = Frame { echo: 9, body: Body::Beat(1) };
    let claim = |length: u32, rest: &[u8]| [&length.to_be_bytes(), rest].concat();
    let json = |frame: &Frame| {
        let body = serde_json::to_vec(frame).unwrap();
        claim(u32::try_from(body.len()).unwrap(), &body)
    };
    let hostile: [(Vec<u8>, &str); 6] = [
        (json(&Frame { echo: 0, body: of_another }), "it tells of mainpc/secrets, which is not a service of pc2"),
        (json(&unasked), "it answered a question that was never asked"),
        (claim(u32::MAX, b""), "it sent a frame of 4294967295 bytes; at most 8388608 are allowed"),
        (claim(0, b""), "it sent a frame of 0 bytes; at most 8388608 are allowed"),
        (claim(2, b"{}"), "it sent a frame that is not understood: missing field `echo` at line 1 column 2"),
        (claim(9, b"{\"echo\""), "it ended the connection within a frame"),
    ];
    for (bytes, expected) in hostile {
        let mut here = Side::new("mainpc", "pc2");
        let (near, mut far) = duplex(1 << 20);
        here.connect(near);
        far.write_all(&bytes).await.unwrap();
        far.shutdown().await.unwrap();
        let why = expected.to_owned();
        assert_eq!(here.next().await, News::Trouble { from: "pc2".to_owned(), why });
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.unwrap();
        assert_eq!(here.quiet(20 * BEAT).await, []);
    }
}

/// Whatever bytes come, reading them ends with frames or with an error.
#[test]
fn any_bytes_are_frames_or_errors() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let piece = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..64),
        (any::<u64>(), any::<u64>(), 0..FRAME_BYTES as u64 * 2).prop_map(|(echo, number, length)| {
            let body = serde_json::to_vec(&Frame { echo, body: Body::Beat(number) }).unwrap();
            let length = if length % 3 == 0 { length } else { body.len() as u64 };
            [&u32::try_from(length).unwrap().to_be_bytes(), body.as_slice()].concat()
        }),
    ];
    proptest!(|(pieces in proptest::collection::vec(piece, 0..8))| {
        let bytes = pieces.concat();
        let mut rest = bytes.as_slice();
        runtime.block_on(async {
            while let Ok(Some(frame)) = frame::read::<Frame>(&mut rest, FRAME_BYTES).await {
                let mut again = Vec::new();
                frame::write(&mut again, &frame, FRAME_BYTES, BEAT).await.unwrap();
                assert_eq!(frame::read::<Frame>(&mut again.as_slice(), FRAME_BYTES).await.unwrap(), Some(frame));
            }
        });
    });
}
