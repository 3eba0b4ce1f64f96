//! A program's requests on their way to the host.

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    sync::{mpsc, oneshot},
};

use super::{
    Exchange,
    body::{self, Filter},
    buffered::Buffered,
    check::check,
    head::Request,
};
use crate::{Refusal, context::broken, meter::Meter, secrets::Sentinel};

/// What the host owes an answer for.
pub(super) enum Expected {
    /// A request that was sent.
    Answer {
        method: String,
        /// The program wants to go on with another protocol: told whether the host agreed.
        upgrade: Option<oneshot::Sender<bool>>,
    },
    /// A request that was not sent.
    Refused(Refusal),
}

/// Requests as they come from the program.
pub(super) struct Requests<'a, R> {
    exchange: &'a Exchange<'a>,
    from: Buffered<R>,
}

impl<'a, R: AsyncRead + Unpin> Requests<'a, R> {
    pub(super) fn new(exchange: &'a Exchange<'a>, from: Buffered<R>) -> Self {
        Self { exchange, from }
    }

    /// The next request, checked and ready to be sent; none when the program sends no more.
    pub(super) async fn next(&mut self) -> Result<Option<Request>, Refusal> {
        loop {
            if let Some((mut request, length)) = Request::parse(self.from.bytes())? {
                self.from.skip(length);
                body::of_request(&request)?;
                check(self.exchange, &mut request)?;
                return Ok(Some(request));
            }
            if !self.from.fill().await? {
                let cut_off = Err(Refusal::Http("a request is cut off".to_owned()));
                return if self.from.bytes().is_empty() { Ok(None) } else { cut_off };
            }
        }
    }

    /// Sends the first request and all that follow.
    pub(super) async fn send_all<W: AsyncWrite + Unpin>(
        &mut self,
        first: Request,
        mut to: W,
        expect: mpsc::Sender<Expected>,
    ) -> Result<(), Refusal> {
        let mut next = Some(first);
        while let Some(request) = next {
            match self.send(request, &mut to, &expect).await {
                Ok(false) => {}
                Ok(true) => return self.go_on(to).await,
                // The host may have answered already that it wants no more; if not, it learns that no more comes.
                Err(Refusal::Broken(_)) => {
                    let _closed = to.shutdown().await;
                    return Ok(());
                }
                Err(refusal) => return Err(refusal),
            }
            next = match self.next().await {
                Ok(next) => next,
                Err(refusal) => {
                    // Answered in its turn, behind the answers that are owed; then the connection ends.
                    let _answers_are_over = expect.send(Expected::Refused(refusal)).await;
                    return Ok(());
                }
            };
        }
        Ok(())
    }

    /// Sends one request; whether another protocol follows.
    async fn send<W: AsyncWrite + Unpin>(
        &mut self,
        request: Request,
        to: &mut W,
        expect: &mpsc::Sender<Expected>,
    ) -> Result<bool, Refusal> {
        let (agree, agreed) = oneshot::channel();
        let upgrade = request.headers.all("upgrade").next().map(|_| agree);
        let wants_upgrade = upgrade.is_some();
        let expected = Expected::Answer { method: request.method.clone(), upgrade };
        if expect.send(expected).await.is_err() {
            return Ok(false);
        }
        let mut head = request.to_bytes();
        self.exchange.meter.out(head.len())?;
        body::write(to, &mut head).await?;
        let mut guard = Guard::new(self.exchange, "in the body of a request");
        body::pass(body::of_request(&request)?, &mut self.from, to, &mut guard).await?;
        Ok(wants_upgrade && agreed.await.unwrap_or(false))
    }

    /// Passes on what follows on an agreement to speak another protocol.
    async fn go_on<W: AsyncWrite + Unpin>(&mut self, mut to: W) -> Result<(), Refusal> {
        let mut guard = Guard::new(self.exchange, "in what it sends");
        body::pass_rest(&mut self.from, &mut to, &mut guard).await?;
        to.shutdown().await.map_err(|error| broken(&error))
    }
}

/// Counts what leaves, and lets no placeholder leave.
struct Guard<'a> {
    sentinel: Sentinel<'a>,
    meter: &'a Meter<'a>,
}

impl<'a> Guard<'a> {
    fn new(exchange: &'a Exchange<'a>, place: &'static str) -> Self {
        Self { sentinel: exchange.context.secrets.sentinel(place), meter: exchange.meter }
    }
}

impl Filter for Guard<'_> {
    fn pass(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Result<(), Refusal> {
        self.sentinel.check(bytes)?;
        self.meter.out(bytes.len())?;
        output.extend(bytes);
        Ok(())
    }

    fn finish(&mut self, _output: &mut Vec<u8>) {}
}
