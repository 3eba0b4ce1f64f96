//! Reading a stream in steps of one's own choice: whole heads, lines, or what is there.

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::{Refusal, context::broken};

/// Room that is made for each read.
const STEP: usize = 64 << 10;

/// A stream with the bytes that were read from it and not yet taken.
pub(super) struct Buffered<R> {
    stream: R,
    bytes: BytesMut,
}

impl<R: AsyncRead + Unpin> Buffered<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, bytes: BytesMut::new() }
    }

    /// What was read and not taken.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads more; whether there was more. Nothing is lost when it is given up.
    pub(super) async fn fill(&mut self) -> Result<bool, Refusal> {
        self.bytes.reserve(STEP);
        Ok(self.stream.read_buf(&mut self.bytes).await.map_err(|error| broken(&error))? > 0)
    }

    /// Like [`Buffered::fill`] where the stream may not end.
    pub(super) async fn fill_more(&mut self) -> Result<(), Refusal> {
        if self.fill().await? { Ok(()) } else { Err(Refusal::Broken("it ended within a message".to_owned())) }
    }

    /// Takes bytes away from the front.
    pub(super) fn take(&mut self, length: usize) -> BytesMut {
        self.bytes.split_to(length.min(self.bytes.len()))
    }

    /// Drops bytes from the front.
    pub(super) fn skip(&mut self, length: usize) {
        self.bytes.advance(length.min(self.bytes.len()));
    }
}
