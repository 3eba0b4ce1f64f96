//! A ZeroMQ server that says exactly what a test wants, right or wrong.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// Bytes that a client says before its first request.
const OPENING: usize = 64 + 2 + 38;

/// A server; its connections are counted.
pub(crate) struct Peer {
    pub(crate) address: String,
    pub(crate) connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

/// The greeting and the readiness of a socket of this type.
pub(crate) fn opening(kind: &str) -> Vec<u8> {
    let mut said = [&b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL"[..], &[0; 48]].concat();
    said.extend([4, u8::try_from(6 + 12 + 4 + kind.len()).unwrap()]);
    said.extend(b"\x05READY\x0bSocket-Type\0\0\0");
    said.push(u8::try_from(kind.len()).unwrap());
    said.extend(kind.as_bytes());
    said
}

/// A message of short parts.
pub(crate) fn message(parts: &[&[u8]]) -> Vec<u8> {
    let mut frames = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let more = u8::from(index + 1 < parts.len());
        match u8::try_from(part.len()) {
            Ok(length) => frames.extend([more, length]),
            Err(_) => {
                frames.push(more | 2);
                frames.extend((part.len() as u64).to_be_bytes());
            }
        }
        frames.extend(*part);
    }
    frames
}

impl Peer {
    /// Serves each connection in the same way.
    pub(crate) async fn serve<F, S>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> S + Send + 'static,
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut served = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                served.spawn(serve(stream));
            }
        });
        Self { address, connections, _tasks: tasks }
    }

    /// Says these bytes to everybody, and nothing more.
    pub(crate) async fn saying(said: Vec<u8>, then_close: bool) -> Self {
        Self::serve(move |mut stream| {
            let said = said.clone();
            async move {
                // Who is refused in the middle closes.
                let _ = stream.write_all(&said).await;
                let mut ignored = [0; 1024];
                while !then_close && stream.read(&mut ignored).await.is_ok_and(|length| length > 0) {}
                if then_close {
                    let _ = stream.shutdown().await;
                    while stream.read(&mut ignored).await.is_ok_and(|length| length > 0) {}
                }
            }
        })
        .await
    }
}

/// Reads what a client says first.
pub(crate) async fn read_opening(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.read_exact(&mut [0; OPENING]).await.map(drop)
}

/// Reads a request: an empty part, and a short one.
pub(crate) async fn read_request(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    assert_eq!(head[..3], [1, 0, 0]);
    let mut body = vec![0; usize::from(head[3])];
    stream.read_exact(&mut body).await?;
    Ok(body)
}
