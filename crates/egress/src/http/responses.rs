//! A host's answers on their way to the program.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, oneshot},
};

use super::{
    Exchange,
    body::{self, Filter, Framing},
    buffered::Buffered,
    head::Response,
    requests::Expected,
};
use crate::{Event, Refusal, meter::Meter, rules::Host, scrub::Scrubber};

/// Answers as they come from the host.
pub(super) struct Responses<'a, R, W> {
    exchange: &'a Exchange<'a>,
    from: Buffered<R>,
    to: &'a mut W,
    scrubber: Option<Scrubber>,
    /// Part of an answer was written, and the rest was not.
    answering: &'a AtomicBool,
}

impl<'a, R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Responses<'a, R, W> {
    pub(super) fn new(
        exchange: &'a Exchange<'a>,
        from: Buffered<R>,
        to: &'a mut W,
        answering: &'a AtomicBool,
    ) -> Result<Self, Refusal> {
        let scrubber = match &exchange.destination.host {
            Host::Name(host) if exchange.puts_secrets_in => {
                Some(exchange.context.secrets.scrubber(host, exchange.destination.port)?)
            }
            _ => None,
        };
        Ok(Self { exchange, from, to, scrubber, answering })
    }

    /// Passes answers on, until all are given or the host ends the connection.
    pub(super) async fn pass_all(&mut self, mut expected: mpsc::Receiver<Expected>) -> Result<(), Refusal> {
        loop {
            let next = tokio::select! {
                biased;
                next = expected.recv() => next,
                // The host ends the connection, or says why it is about to.
                _ended = self.from.fill() => None,
            };
            match next {
                None => return Ok(()),
                Some(Expected::Refused(refusal)) => return Err(refusal),
                Some(Expected::Answer { method, upgrade }) => {
                    if !self.pass_one(&method, upgrade).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Passes one answer on, and what comes before it; whether the connection goes on behind it.
    async fn pass_one(&mut self, method: &str, upgrade: Option<oneshot::Sender<bool>>) -> Result<bool, Refusal> {
        let response = loop {
            let response = self.head().await?;
            match response.status {
                101 if upgrade.is_some() => break response,
                101 => return Err(Refusal::Http("the host changes the protocol without being asked".to_owned())),
                100..=199 => self.write_head(&response).await?,
                _ => break response,
            }
        };
        let framing = body::of_response(&response, method)?;
        let switched = response.status == 101;
        let encoded = response.headers.all("content-encoding").any(|coding| !coding.eq_ignore_ascii_case(b"identity"));
        if encoded && self.scrubber.is_some() && framing != Framing::Length(0) {
            return Err(Refusal::Encoded);
        }
        self.answering.store(true, Ordering::Relaxed);
        self.write_head(&response).await?;
        if let Some(agree) = upgrade {
            let _program_is_gone = agree.send(switched);
        }
        let framing = if switched { Framing::Close } else { framing };
        let mut cleaner = Cleaner { scrubber: self.scrubber.as_mut(), meter: self.exchange.meter };
        body::pass(framing, &mut self.from, self.to, &mut cleaner).await?;
        self.tell_if_scrubbed();
        self.answering.store(false, Ordering::Relaxed);
        Ok(framing != Framing::Close)
    }

    async fn head(&mut self) -> Result<Response, Refusal> {
        loop {
            if let Some((mut response, length)) = Response::parse(self.from.bytes())? {
                self.from.skip(length);
                self.clean(&mut response);
                return Ok(response);
            }
            self.from.fill_more().await?;
        }
    }

    fn clean(&mut self, response: &mut Response) {
        let Some(scrubber) = &mut self.scrubber else { return };
        response.reason = String::from_utf8_lossy(&scrubber.whole(response.reason.as_bytes())).into_owned();
        for header in &mut response.headers.0 {
            header.value = scrubber.whole(&header.value);
            header.name = String::from_utf8_lossy(&scrubber.whole(header.name.as_bytes())).into_owned();
        }
    }

    async fn write_head(&mut self, response: &Response) -> Result<(), Refusal> {
        let mut head = response.to_bytes();
        self.exchange.meter.came(head.len());
        body::write(self.to, &mut head).await
    }

    fn tell_if_scrubbed(&mut self) {
        if let Some(scrubber) = &mut self.scrubber
            && std::mem::take(&mut scrubber.found)
        {
            self.exchange.context.observer.tell(Event::SecretScrubbed { host: self.exchange.destination.host.text() });
        }
    }
}

/// Counts what comes, and takes secrets out.
struct Cleaner<'a> {
    scrubber: Option<&'a mut Scrubber>,
    meter: &'a Meter<'a>,
}

impl Filter for Cleaner<'_> {
    fn pass(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> Result<(), Refusal> {
        self.meter.came(bytes.len());
        match &mut self.scrubber {
            Some(scrubber) => scrubber.push(bytes, output),
            None => output.extend(bytes),
        }
        Ok(())
    }

    fn finish(&mut self, output: &mut Vec<u8>) {
        if let Some(scrubber) = &mut self.scrubber {
            scrubber.finish(output);
        }
    }
}
