//! HTTP/1.1 between a program and a host, request by request: every request is checked before it leaves, secrets are put
//! into its headers, and taken out of its answer.
//!
//! The rules of messages are those of RFC 9110 and RFC 9112. What they leave to recipients to repair is refused.

mod body;
mod buffered;
mod check;
mod head;
mod requests;
mod responses;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
    time::timeout,
};

use crate::{Refusal, context::Context, meter::Meter, serve::Destination};
use buffered::Buffered;
use requests::Requests;
use responses::Responses;

/// So many requests may be on their way before the first is answered.
const PIPELINED: usize = 16;

/// How much and how long a program may go on to send when its request was refused.
const LINGERING_BYTES: u64 = 16 << 20;
const LINGERING_TIME: Duration = Duration::from_secs(2);

/// What holds for all requests of a connection.
pub(crate) struct Exchange<'a> {
    pub(crate) context: &'a Context,
    pub(crate) destination: &'a Destination,
    pub(crate) meter: &'a Meter<'a>,
    /// The way to the host is encrypted, and secrets are bound to it.
    pub(crate) puts_secrets_in: bool,
}

/// Serves a connection. The host is dialled when the first request was found in order.
pub(crate) async fn serve<P, U>(
    exchange: &Exchange<'_>,
    program: &mut P,
    dial: impl Future<Output = Result<U, Refusal>>,
) -> Result<(), Refusal>
where
    P: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from_program, mut to_program) = tokio::io::split(program);
    let answering = AtomicBool::new(false);
    let result = pass(exchange, Buffered::new(&mut from_program), &mut to_program, dial, &answering).await;
    let Err(refusal) = result else {
        // What ends here is answered; the program may be gone already.
        let _closed = to_program.shutdown().await;
        return Ok(());
    };
    if answering.load(Ordering::Relaxed) {
        return Err(refusal);
    }
    let _written = to_program.write_all(&explain(&refusal)).await;
    let _closed = to_program.shutdown().await;
    exchange.context.observer.refuse(exchange.destination.text(), refusal);
    // A program that is still sending must be able to read why it is of no use.
    let rest = &mut from_program.take(LINGERING_BYTES);
    let _given_up = timeout(LINGERING_TIME, tokio::io::copy(rest, &mut tokio::io::sink())).await;
    Ok(())
}

async fn pass<R, W, U>(
    exchange: &Exchange<'_>,
    from_program: Buffered<R>,
    to_program: &mut W,
    dial: impl Future<Output = Result<U, Refusal>>,
    answering: &AtomicBool,
) -> Result<(), Refusal>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let mut requests = Requests::new(exchange, from_program);
    let Some(first) = requests.next().await? else { return Ok(()) };
    let (from_host, to_host) = tokio::io::split(dial.await?);
    let (expect, expected) = mpsc::channel(PIPELINED);
    let mut responses = Responses::new(exchange, Buffered::new(from_host), to_program, answering)?;
    let mut sending = Box::pin(requests.send_all(first, to_host, expect));
    let mut answers = Box::pin(responses.pass_all(expected));
    tokio::select! {
        sent = &mut sending => sent?,
        answered = &mut answers => return answered,
    }
    answers.await
}

/// What a program reads instead of an answer.
fn explain(refusal: &Refusal) -> Vec<u8> {
    let status = match refusal {
        Refusal::Http(_) => "400 Bad Request",
        Refusal::Unreachable(_) | Refusal::Tls(_) | Refusal::Encoded | Refusal::Broken(_) => "502 Bad Gateway",
        Refusal::Quota(_) => "429 Too Many Requests",
        _ => "403 Forbidden",
    };
    let body = format!("Masque did not pass this request on: {refusal}.\n");
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
