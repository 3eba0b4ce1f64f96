//! The end of what a server wrote to its standard error, for the message when it fails.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    task::JoinSet,
};

use super::sanitise;

/// Bytes that are kept.
const KEPT: usize = 16 * 1024;
/// Characters that a message shows.
const SHOWN: usize = 2_000;
/// How long the last bytes are awaited after the server's end.
const DRAIN: Duration = Duration::from_secs(1);

/// Reads a stream to its end and keeps the last of it.
#[derive(Debug)]
pub(super) struct Tail {
    kept: Arc<Mutex<VecDeque<u8>>>,
    reading: JoinSet<()>,
}

impl Tail {
    pub(super) fn of(stream: Option<impl AsyncRead + Send + Unpin + 'static>) -> Self {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let mut reading = JoinSet::new();
        if let Some(stream) = stream {
            reading.spawn(read(stream, Arc::clone(&kept)));
        }
        Self { kept, reading }
    }

    /// What was written last, after the server's end.
    pub(super) async fn end(mut self) -> String {
        let _ = tokio::time::timeout(DRAIN, self.reading.join_next()).await;
        self.reading.shutdown().await;
        let bytes: Vec<u8> = self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim();
        let skipped = text.chars().count().saturating_sub(SHOWN);
        sanitise::clean(&text.chars().skip(skipped).collect::<String>(), SHOWN)
    }
}

async fn read(mut stream: impl AsyncRead + Unpin, kept: Arc<Mutex<VecDeque<u8>>>) {
    let mut buffer = vec![0; 4 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(buffer.iter().take(count));
        let over = kept.len().saturating_sub(KEPT);
        kept.drain(..over);
    }
}
