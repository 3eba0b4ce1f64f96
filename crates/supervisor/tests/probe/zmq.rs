//! ZeroMQ servers: those of others, and ones that say what they like.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use masque_fleet::model::{Check, Expectation};
use masque_supervisor::machine::Outcome;
use proptest::{
    collection::vec,
    prelude::{Strategy as _, any},
    strategy::ValueTree as _,
    test_runner::TestRunner,
};
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, task::JoinSet};
use zeromq::{Socket as _, SocketRecv as _, SocketSend as _};

use crate::{
    stage::{Stage, guarded, unhealthy},
    zmq_peers::{Peer, message, opening, read_opening, read_request},
};

fn health(address: &str) -> Check {
    let (healthy, degraded) = (vec![json!("ok")], vec![json!("busy")]);
    let expect = vec![Expectation { path: "status".into(), healthy, degraded, optional: false }];
    Check::Zmq { address: address.to_owned(), request: json!({"action": "health_check"}), expect }
}

async fn found(said: &[u8], then_close: bool) -> String {
    let peer = Peer::saying(said.to_vec(), then_close).await;
    match Stage::check(health(&peer.address)).await {
        Outcome::Healthy => "healthy".to_owned(),
        Outcome::Degraded(why) => format!("degraded: {}", why.replace(&peer.address, "PEER")),
        Outcome::Unhealthy(why) => why.replace(&peer.address, "PEER"),
    }
}

async fn replied(parts: &[&[u8]]) -> String {
    found(&[opening("REP"), message(parts)].concat(), false).await
}

#[tokio::test]
async fn a_reply_is_judged_by_what_it_says() {
    assert_eq!(replied(&[b"", br#"{"status": "ok"}"#]).await, "healthy");
    assert_eq!(replied(&[b"", br#"{"status": "busy"}"#]).await, r#"degraded: `status` is "busy": {"status":"busy"}"#);
    assert_eq!(replied(&[b"", br#"{"status": "error"}"#]).await, r#"`status` is "error": {"status":"error"}"#);
    assert_eq!(replied(&[b"", b"{}"]).await, "the reply has no `status`: {}");
    assert_eq!(replied(&[b"", b"OK\xff"]).await, "the reply is no JSON: `OK\u{fffd}`");
    assert_eq!(replied(&[b"", b"{}", b"{}"]).await, "the reply has 2 parts: expected one");
    assert_eq!(replied(&[br#"{"status": "ok"}"#]).await, "the reply does not begin with an empty part");
    let long = format!(r#"{{"status": "ok", "more": "{}"}}"#, "x".repeat(100_000));
    assert_eq!(replied(&[b"", long.as_bytes()]).await, "healthy");
}

#[tokio::test]
async fn what_is_not_the_protocol_is_told() {
    let with = |more: &[u8]| [&opening("REP"), more].concat();
    assert_eq!(found(b"HTTP/1.1 400 Bad Request\r\n\r\n", false).await, "PEER does not speak ZeroMQ");
    assert_eq!(found(b"", true).await, "connection closed by PEER");
    assert_eq!(found(&opening("REP")[..70], true).await, "connection closed by PEER");
    assert_eq!(found(&opening("PUB"), false).await, "PEER is a PUB socket: expected REP or ROUTER");
    let mut old = opening("REP");
    old[10] = 1;
    assert_eq!(found(&old, false).await, "PEER speaks ZMTP 1: expected 3.0 or later, as of ZeroMQ 4");
    assert_eq!(found(&[&opening("REP")[..64], b"\x04\x09\x05ERROR\x02no"].concat(), false).await, "PEER refuses: no");
    let huge = [&b"\x01\0\x02"[..], &u64::MAX.to_be_bytes()].concat();
    assert_eq!(
        found(&with(&huge), false).await,
        "PEER sent a reply that is too long: more than 1048576 bytes are not read"
    );
    assert_eq!(found(&with(&b"\x01\0".repeat(100)), false).await, "PEER sent a reply of more than 64 parts");
    assert_eq!(found(&with(&b"\x04\x02\x01X".repeat(100)), false).await, "PEER sends commands without end");
    assert_eq!(
        found(&with(b"\x08\0"), false).await,
        "PEER sent a frame with the flags 0x08, which ZMTP 3 does not have"
    );
    assert_eq!(Stage::check(health("127.0.0.1:1")).await, unhealthy("connection refused at 127.0.0.1:1"));
    // A server that wants to know whether we are there, as later versions do.
    let ping =
        [opening("ROUTER"), b"\x04\x09\x04PING\0\x01ab".to_vec(), message(&[b"", br#"{"status":"ok"}"#])].concat();
    assert_eq!(found(&ping, false).await, "healthy");
}

#[tokio::test]
async fn one_connection_serves_many_checks_and_a_new_one_a_restarted_service() {
    // It closes each connection after five replies.
    let peer = Peer::serve(|mut stream| async move {
        if read_opening(&mut stream).await.is_err() || stream.write_all(&opening("REP")).await.is_err() {
            return;
        }
        for _ in 0..5 {
            if read_request(&mut stream).await.is_err() {
                return;
            }
            stream.write_all(&message(&[b"", br#"{"status":"ok"}"#])).await.unwrap();
        }
    })
    .await;
    let mut stage = Stage::new("true", Some(health(&peer.address)));
    let mut prober = stage.prober();
    for _ in 0..15 {
        assert_eq!(guarded(prober.check_once()).await.unwrap().outcome, Outcome::Healthy);
    }
    assert_eq!(peer.connections.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_late_reply_is_never_taken_for_the_next_one() {
    // The first request of the first connection is answered late, with good news; all others are answered with bad news.
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let (release, held) = tokio::sync::watch::channel(false);
    let peer = Peer::serve(move |mut stream| {
        let (asked, mut held) = (Arc::clone(&counted), held.clone());
        async move {
            let _ = read_opening(&mut stream).await;
            stream.write_all(&opening("REP")).await.unwrap();
            while read_request(&mut stream).await.is_ok() {
                let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
                if first {
                    held.wait_for(|released| *released).await.unwrap();
                }
                let status: &[u8] = if first { br#"{"status":"ok"}"# } else { br#"{"status":"error"}"# };
                // Who has given up does not read it.
                let _ = stream.write_all(&message(&[b"", status])).await;
            }
        }
    })
    .await;
    let mut stage = Stage::changed("true", Some(health(&peer.address)), |service| {
        service.ready.as_mut().unwrap().timeout = Duration::from_millis(500);
    });
    let mut prober = stage.prober();
    assert_eq!(guarded(prober.check_once()).await.unwrap().outcome, unhealthy("no answer within 500ms"));
    release.send(true).unwrap();
    let found = guarded(prober.check_once()).await.unwrap().outcome;
    assert_eq!(found, unhealthy(r#"`status` is "error": {"status":"error"}"#));
    assert_eq!(peer.connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_reply_that_nobody_asked_for_is_not_one() {
    // Two replies to each request: bad news once asked, and good news for later.
    let peer = Peer::serve(|mut stream| async move {
        let _ = read_opening(&mut stream).await;
        stream.write_all(&opening("REP")).await.unwrap();
        while read_request(&mut stream).await.is_ok() {
            let two = [message(&[b"", br#"{"status":"error"}"#]), message(&[b"", br#"{"status":"ok"}"#])].concat();
            let _ = stream.write_all(&two).await;
        }
    })
    .await;
    let mut stage = Stage::new("true", Some(health(&peer.address)));
    let mut prober = stage.prober();
    for _ in 0..5 {
        let found = guarded(prober.check_once()).await.unwrap().outcome;
        assert_eq!(found, unhealthy(r#"`status` is "error": {"status":"error"}"#));
    }
}

#[tokio::test]
async fn any_bytes_are_survived() {
    let mut runner = TestRunner::deterministic();
    let bytes = (0_usize..=120, vec(any::<u8>(), 0..200));
    for _ in 0..150 {
        let (valid, random) = bytes.new_tree(&mut runner).unwrap().current();
        // A right beginning of any length, so that every state meets what is wrong.
        let beginning = [opening("REP"), message(&[b"", b"{"])].concat();
        let said = [&beginning[..valid.min(beginning.len())], &random].concat();
        assert_ne!(found(&said, true).await, "healthy", "{said:?}");
    }
}

#[tokio::test]
async fn the_rust_implementation_is_understood() {
    let mut socket = zeromq::RepSocket::new();
    let address = socket.bind("tcp://127.0.0.1:0").await.unwrap().to_string().replace("tcp://", "");
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let request = socket.recv().await.unwrap();
            assert_eq!(request.get(0).unwrap().as_ref(), br#"{"action":"health_check"}"#);
            socket.send(r#"{"status":"ok"}"#.into()).await.unwrap();
        }
    });
    let mut stage = Stage::new("true", Some(health(&address)));
    let mut prober = stage.prober();
    for _ in 0..3 {
        assert_eq!(guarded(prober.check_once()).await.unwrap().outcome, Outcome::Healthy);
    }
    tasks.shutdown().await;
}

/// A Python with `pyzmq`; in CI it must be there.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("MASQUE_TEST_FLEET_PYTHON").map(PathBuf::from);
    assert!(python.is_some() || std::env::var("CI").as_deref() != Ok("true"), "CI must set MASQUE_TEST_FLEET_PYTHON");
    if python.is_none() {
        println!("skipped: MASQUE_TEST_FLEET_PYTHON names no Python with the package `pyzmq`; `make test` sets it");
    }
    python
}

const AGENT: &str = r#"
import sys, zmq
socket = zmq.Context().socket(getattr(zmq, sys.argv[1]))
port = socket.bind_to_random_port("tcp://127.0.0.1")
print("port", port, flush=True)
while True:
    *envelope, request = socket.recv_multipart()
    assert request == b'{"action":"health_check"}', request
    socket.send_multipart([*envelope, b'{"status": "ok"}'])
"#;

#[tokio::test]
async fn the_original_implementation_is_understood() {
    let Some(python) = python() else { return };
    for kind in ["REP", "ROUTER"] {
        let line = format!("exec {} agent.py {kind}", python.display());
        let mut stage = Stage::changed(&line, Some(Check::Log("^port [0-9]+$".into())), |service| {
            std::fs::write(service.program.directory.join("agent.py"), AGENT).unwrap();
        });
        let process = stage.start();
        let mut watched = stage.watch(&process);
        watched.healthy().await;
        let port = stage.capture.tail(1).unwrap()[0].text().replace("port ", "");
        stage.service.ready = Some(crate::stage::probe(health(&format!("127.0.0.1:{port}"))));
        let mut prober = stage.prober();
        let mut times = Vec::new();
        for _ in 0..200 {
            let checked = guarded(prober.check_once()).await.unwrap();
            assert_eq!(checked.outcome, Outcome::Healthy);
            times.push(checked.took);
        }
        times.sort();
        println!("check of a {kind} socket of pyzmq: median {:?}, 99 % {:?}", times[100], times[198]);
        guarded(process.kill_tree()).await.unwrap();
    }
}
