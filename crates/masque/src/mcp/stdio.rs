//! The server on standard input and output: for a client that starts it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use masque_app::Error;
use rmcp::service::{ServerInitializeError, serve_server_with_ct};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

use super::server::Server;

/// Serves until the input ends or `stop` is cancelled. Answers in flight are written first.
///
/// # Errors
/// When the client does not begin as the protocol says.
pub(crate) async fn serve(server: Server, stop: &CancellationToken) -> Result<(), Error> {
    let (input, output) = rmcp::transport::io::stdio_pipes();
    let input = Ending { input, ended: stop.clone() };
    let cut = CancellationToken::new();
    let opening = serve_server_with_ct(server, (input, output), cut.clone());
    let opened = tokio::select! {
        opened = opening => opened,
        () = stop.cancelled() => return Ok(()),
    };
    let mut running = match opened {
        Ok(running) => running,
        // A client that leaves before it begins, for example to see whether the program starts.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => return Ok(()),
        Err(error) => return Err(Error::usage(format!("the client did not begin as the protocol says: {error}"))),
    };
    stop.cancelled().await;
    // What waits has heard the stop as well; the close writes its answers.
    let _ = running.close().await;
    Ok(())
}

/// An input that says when it ended, so that nothing waits for a client that is gone.
struct Ending<R> {
    input: R,
    ended: CancellationToken,
}

impl<R: AsyncRead + Unpin> AsyncRead for Ending<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.input).poll_read(cx, buf);
        let ended = match &polled {
            Poll::Ready(Ok(())) => buf.filled().len() == before && buf.remaining() > 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if ended {
            self.ended.cancel();
        }
        polled
    }
}
