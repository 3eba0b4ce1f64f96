//! Bytes through the broker: all of them, in both directions, to the right end, and only as many as allowed.

use std::sync::Arc;

use masque_egress::{Event, Limits, Quota, Refusal};
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::{Notify, mpsc},
    task::JoinSet,
};

use crate::{
    program::query,
    site::{HostServer, Plan, read_all, within},
};

const LARGE: usize = 100 << 20;

/// The piece of a long text at an offset; no two pieces are alike.
fn piece(offset: usize, length: usize) -> Vec<u8> {
    (offset / 8..)
        .flat_map(|number| (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .take(length)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_transfer_arrives_whole_and_comes_back() {
    within(async {
        let host = HostServer::new(|mut stream| async move {
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut from, &mut to).await.unwrap();
            to.shutdown().await.unwrap();
        })
        .await;
        let mut site = Plan::new(&["echo.test:7"]).name("echo.test", host.address).start();
        let stream = site.connect("echo.test", 7).await.unwrap();
        let (mut from, mut to) = tokio::io::split(stream);
        let sent = async {
            let mut digest = Sha256::new();
            for offset in (0..LARGE).step_by(1 << 20) {
                let piece = piece(offset, 1 << 20);
                digest.update(&piece);
                to.write_all(&piece).await.unwrap();
            }
            to.shutdown().await.unwrap();
            digest.finalize()
        };
        let received = async {
            let (mut digest, mut length, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
            loop {
                let read = from.read(&mut buffer).await.unwrap();
                digest.update(&buffer[..read]);
                length += read;
                if read == 0 {
                    return (digest.finalize(), length);
                }
            }
        };
        let (sent, (received, length)) = tokio::join!(sent, received);
        assert_eq!((received, length), (sent, LARGE));
        site.events.until(|event| matches!(event, Event::Closed { .. })).await;
        let size = LARGE as u64;
        let closed = Event::Closed { host: "echo.test".to_owned(), port: 7, sent: size, received: size };
        assert_eq!(site.events.all().last(), Some(&closed));
        let counters = site.broker.counters();
        assert_eq!((counters.bytes_out, counters.bytes_in, counters.connections), (size, size, 1));
        site.broker.close().await;
    })
    .await;
}

#[tokio::test]
async fn each_side_may_end_first() {
    within(async {
        let asks = HostServer::new(|mut stream| async move {
            let mut question = Vec::new();
            stream.read_to_end(&mut question).await.unwrap();
            stream.write_all(&[&question[..], b", answered"].concat()).await.unwrap();
        })
        .await;
        let (heard, mut hears) = mpsc::unbounded_channel();
        let tells = HostServer::new(move |mut stream| {
            let heard = heard.clone();
            async move {
                stream.write_all(b"told").await.unwrap();
                stream.shutdown().await.unwrap();
                heard.send(read_all(stream).await).unwrap();
            }
        })
        .await;
        let plan = Plan::new(&["asks.test:*", "tells.test:9"]);
        let mut site = plan.name("asks.test", asks.address).name("tells.test", tells.address).start();

        let mut stream = site.connect("asks.test", 1234).await.unwrap();
        stream.write_all(b"question").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(read_all(stream).await, b"question, answered");

        let mut stream = site.connect("tells.test", 9).await.unwrap();
        let mut told = Vec::new();
        stream.read_to_end(&mut told).await.unwrap();
        assert_eq!(told, b"told");
        stream.write_all(b"and more").await.unwrap();
        stream.shutdown().await.unwrap();
        assert_eq!(hears.recv().await.unwrap(), b"and more");
        site.broker.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_host_that_does_not_listen_refuses_and_a_broken_connection_is_broken_at_both_ends() {
    within(async {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (told, mut tells) = mpsc::unbounded_channel();
        let breaks = HostServer::new(move |mut stream| {
            let told = told.clone();
            async move {
                stream.write_all(b"ready").await.unwrap();
                told.send(stream.read(&mut [0; 8]).await.map_err(|error| error.kind())).unwrap();
            }
        })
        .await;
        let plan = Plan::new(&["nobody.test:5", "breaks.test:5"]);
        let mut site = plan.name("nobody.test", nobody).name("breaks.test", breaks.address).start();
        assert_eq!(site.connect("nobody.test", 5).await.err(), Some("refused"));
        assert!(matches!(&site.events.refusals()[..], [(what, Refusal::Unreachable(_))] if what == "nobody.test:5"));

        let mut stream = site.connect("breaks.test", 5).await.unwrap();
        stream.read_exact(&mut [0; 5]).await.unwrap();
        site.network.break_connections();
        assert_eq!(tells.recv().await.unwrap(), Err(std::io::ErrorKind::ConnectionReset));
        site.broker.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sends_faster_than_the_other_reads() {
    const LENGTH: usize = 64 << 20;
    within(async {
        let go = Arc::new(Notify::new());
        let waits = Arc::clone(&go);
        let host = HostServer::new(move |stream| {
            let go = Arc::clone(&waits);
            async move {
                go.notified().await;
                let (mut from, mut to) = stream.into_split();
                let mut read = 0;
                let mut buffer = vec![0; 1 << 20];
                while read < LENGTH {
                    read += from.read(&mut buffer).await.unwrap();
                }
                to.write_all(&vec![7; LENGTH]).await.unwrap();
            }
        })
        .await;
        let mut site = Plan::new(&["slow.test:5"]).name("slow.test", host.address).start();
        let (mut from, mut to) = tokio::io::split(site.connect("slow.test", 5).await.unwrap());
        let mut writing = JoinSet::new();
        writing.spawn(async move {
            to.write_all(&vec![7; LENGTH]).await.unwrap();
            to
        });
        // The first byte of the answer comes when all was read: what is written before waits in buffers.
        while site.broker.counters().bytes_out == 0 {
            tokio::task::yield_now().await;
        }
        assert!(writing.try_join_next().is_none());
        go.notify_one();
        let _to = writing.join_next().await.unwrap().unwrap();
        let mut read = 0;
        let mut buffer = vec![0; 1 << 20];
        while read < LENGTH {
            read += from.read(&mut buffer).await.unwrap();
        }
        site.broker.close().await;
    })
    .await;
}

#[tokio::test]
async fn limits_of_connections_and_bytes() {
    within(async {
        let host = HostServer::new(|stream| async move { drop(read_all(stream).await) }).await;
        let mut plan = Plan::new(&["sink.test:5"]).name("sink.test", host.address);
        plan.limits = Limits { connections: 2, bytes_out_per_minute: 1000, ..Limits::STANDARD };
        let mut site = plan.start();
        let mut first = site.connect("sink.test", 5).await.unwrap();
        let second = site.connect("sink.test", 5).await.unwrap();
        assert_eq!(site.connect("sink.test", 5).await.err(), Some("refused"));
        assert_eq!(site.events.refusals(), [("sink.test:5".to_owned(), Refusal::Quota(Quota::Connections))]);

        first.write_all(&[1; 1000]).await.unwrap();
        while site.broker.counters().bytes_out < 1000 {
            tokio::task::yield_now().await;
        }
        first.write_all(&[1]).await.unwrap();
        assert_eq!(read_all(first).await, b"");
        site.events.until(|event| matches!(event, Event::Closed { .. })).await;
        assert_eq!(site.events.refusals()[1].1, Refusal::Quota(Quota::BytesOut));
        assert_eq!(site.broker.counters().bytes_out, 1000);

        drop(second);
        // The place of an ended connection is free again.
        while site.connect("sink.test", 5).await.is_err() {
            tokio::task::yield_now().await;
        }
        site.broker.close().await;
    })
    .await;
}

#[tokio::test]
async fn names_are_looked_up_over_connections_too() {
    within(async {
        let mut site = Plan::new(&["a.test"]).start();
        let mut stream = site.network.connect(masque_egress::DEVICE.gateway, 53).await.unwrap();
        for (name, code) in [("a", 0), ("b", 3)] {
            let query = query([name, "test"].map(str::as_bytes).into_iter(), 1);
            stream.write_all(&u16::try_from(query.len()).unwrap().to_be_bytes()).await.unwrap();
            stream.write_all(&query).await.unwrap();
            let length = stream.read_u16().await.unwrap();
            let mut answer = vec![0; usize::from(length)];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer[3] & 15, code);
        }
        assert_eq!(site.network.lookup("a.test").await, site.network.lookup("A.Test").await);
        site.broker.close().await;
    })
    .await;
}

#[tokio::test]
async fn after_close_nothing_remains() {
    within(async {
        let (told, mut tells) = mpsc::unbounded_channel();
        let host = HostServer::new(move |mut stream| {
            let told = told.clone();
            async move {
                stream.write_all(b"ready").await.unwrap();
                told.send(stream.read(&mut [0; 8]).await.map_err(|error| error.kind())).unwrap();
            }
        })
        .await;
        let mut site = Plan::new(&["idle.test:5"]).name("idle.test", host.address).start();
        let mut stream = site.connect("idle.test", 5).await.unwrap();
        stream.read_exact(&mut [0; 5]).await.unwrap();
        site.broker.close().await;
        // Both ends see the connection break, that is told, and nobody holds what the broker was given.
        assert_eq!(tells.recv().await.unwrap(), Err(std::io::ErrorKind::ConnectionReset));
        let closed = Event::Closed { host: "idle.test".to_owned(), port: 5, sent: 0, received: 5 };
        assert_eq!(site.events.all().last(), Some(&closed));
        assert_eq!(read_all(stream).await, b"");
        assert_eq!((Arc::strong_count(&site.events), Arc::strong_count(&site.names)), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_broker_ends_when_its_device_is_gone() {
    within(async {
        let host = HostServer::new(|stream| async move { drop(read_all(stream).await) }).await;
        let mut site = Plan::new(&["idle.test:5"]).name("idle.test", host.address).start();
        let _stream = site.connect("idle.test", 5).await.unwrap();
        drop(site.network);
        while Arc::strong_count(&site.names) > 2 {
            tokio::task::yield_now().await;
        }
        site.broker.close().await;
        assert_eq!(Arc::strong_count(&site.names), 1);
    })
    .await;
}
