//! HTTP servers that answer, refuse, redirect, lie and hang.

use std::{collections::BTreeMap, time::Duration};

use masque_fleet::model::{Check, Http};
use masque_supervisor::machine::Outcome;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};

use crate::stage::{Stage, guarded, unhealthy};

/// Answers every connection with these bytes, and then closes it or not; the requests that came.
struct Server {
    address: String,
    tasks: JoinSet<String>,
}

async fn server(answer: &'static [u8], then_close: bool) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        let _ = stream.write_all(answer).await;
        if !then_close {
            // Until the other side has had enough.
            while stream.read(&mut request).await.is_ok_and(|length| length > 0) {}
        }
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    Server { address, tasks }
}

fn http(address: &str) -> Check {
    let headers = BTreeMap::from([("X-Token".to_owned(), "t".to_owned())]);
    Check::Http(Http { address: address.to_owned(), path: "/health?full=1".into(), headers, status: (200, 399) })
}

async fn found(answer: &'static [u8], then_close: bool) -> String {
    let server = server(answer, then_close).await;
    let mut stage = Stage::changed("true", Some(http(&server.address)), |service| {
        service.ready.as_mut().unwrap().timeout = Duration::from_millis(700);
    });
    match guarded(stage.prober().check_once()).await.unwrap().outcome {
        Outcome::Healthy => "healthy".to_owned(),
        Outcome::Degraded(why) | Outcome::Unhealthy(why) => why.replace(&server.address, "ADDRESS"),
    }
}

#[tokio::test]
async fn a_server_is_judged_by_its_status() {
    let server = server(b"HTTP/1.1 204 No Content\r\n\r\n", false).await;
    assert_eq!(Stage::check(http(&server.address)).await, Outcome::Healthy);
    let request = server.tasks.join_all().await.concat();
    assert!(request.starts_with("GET /health?full=1 HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains(&format!("host: {}\r\n", server.address)) && request.contains("x-token: t\r\n"),
        "{request}"
    );
    assert_eq!(found(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", true).await, "healthy");
    let busy = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
    assert_eq!(found(busy, true).await, "HTTP 503 at http://ADDRESS/health?full=1");
    // The body may take as long as it likes.
    assert_eq!(found(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", false).await, "healthy");
}

#[tokio::test]
async fn servers_that_hang_and_lie_are_not_healthy() {
    assert_eq!(found(b"", false).await, "no answer within 700ms");
    assert_eq!(found(b"HTTP/1.1 200 OK\r\nX-", false).await, "no answer within 700ms");
    for lie in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"HTTP/1.1 2000 OK\r\n\r\n", b"", b"HTTP/1.1 200"] {
        let why = found(lie, true).await;
        assert!(why.starts_with("no HTTP answer from ADDRESS: "), "{lie:?}: {why}");
    }
    let flood: &'static [u8] = Vec::leak([&b"HTTP/1.1 200 OK\r\nA: "[..], &vec![b'x'; 4 << 20]].concat());
    assert!(found(flood, true).await.starts_with("no HTTP answer from ADDRESS: "));
    assert_eq!(Stage::check(http("127.0.0.1:1")).await, unhealthy("connection refused at 127.0.0.1:1"));
}
