//! One established connection: it tells states, asks, answers, and ends when the lease on it ends.

use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use masque_fleet::status::HostStatus;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf},
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

use super::{
    Route,
    book::difference,
    frame::{self, Body, FRAME_BYTES, Frame},
    lease::Lease,
    table::{Question, Shared, merge},
};
use crate::Error;

/// How many supervisors a question about services may pass: from a group to its host, to another host, to a group.
const HOPS: u8 = 2;

/// Talks with a peer until one of both ends it, or its lease ends. `begun` is before anything that the peer said.
pub(super) async fn converse<S>(shared: &Shared, place: usize, stream: S, begun: Instant) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let joined = shared.with(|table| table.join(place, &shared.stop));
    let (reader, writer) = tokio::io::split(stream);
    let (questions, asked) = watch::channel(Question::default());
    let (answer, answers) = mpsc::channel(1);
    let connection = Connection {
        shared,
        place,
        number: joined.number,
        outside: shared.quietly(|table| table.peer(place).is_some_and(|peer| peer.route != Route::Unix)),
        lease: Mutex::new(Lease::new(shared.rhythm.lease, begun)),
        heard: watch::Sender::new(0),
    };
    let ended = tokio::select! {
        ended = connection.read(reader, questions) => ended,
        ended = connection.write(writer, joined.questions, answers) => ended,
        () = connection.answer(asked, answer) => Ok(()),
        () = connection.expired() => Err(io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time").into()),
        () = joined.stop.cancelled() => Ok(()),
    };
    shared.with(|table| table.leave(place, joined.number));
    shared.answers.send_modify(|answers| *answers += 1);
    ended
}

struct Connection<'a> {
    shared: &'a Shared,
    place: usize,
    number: u64,
    outside: bool,
    lease: Mutex<Lease>,
    /// Number of the last question that was heard.
    heard: watch::Sender<u64>,
}

impl Connection<'_> {
    fn lease<T>(&self, act: impl FnOnce(&mut Lease) -> T) -> T {
        act(&mut self.lease.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn read<S: AsyncRead>(&self, mut from: ReadHalf<S>, questions: watch::Sender<Question>) -> Result<(), Error> {
        while let Some(frame) = frame::read::<Frame>(&mut from, FRAME_BYTES).await? {
            if !self.lease(|lease| lease.answered(frame.echo)) {
                return Err(Error::Talk("it answered a question that was never asked".to_owned()));
            }
            match &frame.body {
                Body::Beat(number) => {
                    self.heard.send_replace(*number);
                }
                Body::Ask { number, hops } => {
                    questions.send_replace(Question { number: *number, hops: (*hops).min(HOPS) });
                }
                _ => {}
            }
            let (until, is_answer) = (self.lease(|lease| lease.until()), matches!(frame.body, Body::Answer { .. }));
            self.shared.with(|table| table.said(self.place, self.number, until, frame.body))?;
            if is_answer {
                self.shared.answers.send_modify(|answers| *answers += 1);
            }
        }
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended the connection").into())
    }

    /// Tells the newest states whenever they changed, questions in their rhythm, and answers.
    async fn write<S: AsyncWrite>(
        &self,
        mut to: WriteHalf<S>,
        mut questions: watch::Receiver<Question>,
        mut answers: mpsc::Receiver<Body>,
    ) -> Result<(), Error> {
        let told = if self.outside { &self.shared.told_outside } else { &self.shared.told_inside };
        let mut told = told.subscribe();
        let mut sent = told.borrow_and_update().clone();
        self.say(&mut to, Body::All(BTreeMap::clone(&sent))).await?;
        let mut heard = self.heard.subscribe();
        let mut beats = interval(self.shared.rhythm.beat);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let body = tokio::select! {
                _ = beats.tick() => Body::Beat(self.lease(|lease| lease.ask(Instant::now()))),
                Ok(()) = heard.changed() => {
                    heard.borrow_and_update();
                    Body::Heard
                }
                Ok(()) = told.changed() => {
                    let new = told.borrow_and_update().clone();
                    let (states, gone) = difference(&sent, &new);
                    sent = new;
                    Body::Changes { states, gone }
                }
                Ok(()) = questions.changed() => {
                    let Question { number, hops } = *questions.borrow_and_update();
                    Body::Ask { number, hops }
                }
                Some(answer) = answers.recv() => answer,
            };
            self.say(&mut to, body).await?;
        }
    }

    async fn say(&self, to: &mut (impl AsyncWrite + Unpin), body: Body) -> Result<(), Error> {
        let frame = Frame { echo: *self.heard.borrow(), body };
        frame::write(to, &frame, FRAME_BYTES, self.shared.rhythm.lease).await
    }

    /// Answers the newest question whenever there is one, one at a time.
    async fn answer(&self, mut asked: watch::Receiver<Question>, answer: mpsc::Sender<Body>) {
        while asked.changed().await.is_ok() {
            let question = *asked.borrow_and_update();
            let mut hosts = vec![self.shared.status.tell().await];
            if question.hops > 0 {
                let (other, hops) = (Some(!self.outside), question.hops - 1);
                hosts.extend(self.shared.ask(other, hops, self.shared.rhythm.beat).await);
            }
            let hosts = merge(hosts).into_iter().filter(|host| !self.outside || host.host == self.shared.host);
            if answer.send(Body::Answer { to: question.number, hosts: hosts.collect() }).await.is_err() {
                return;
            }
        }
    }

    /// Until nothing that the peer said is good any more.
    async fn expired(&self) {
        loop {
            let until = self.lease(|lease| lease.until());
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }
}

impl Shared {
    /// Asks the peers that are reached in that way, or all, and waits for them at most so long. What those told that did
    /// not answer is what they told last.
    pub(super) async fn ask(&self, outside: Option<bool>, hops: u8, patience: Duration) -> Vec<HostStatus> {
        let mut answers = self.answers.subscribe();
        let number = self.quietly(|table| table.ask(outside, hops));
        let all = async {
            while !self.quietly(|table| table.is_answered(outside, number)) && answers.changed().await.is_ok() {}
        };
        // Whoever is late is told of with what was heard last.
        let _ = timeout(patience, all).await;
        merge(self.quietly(|table| table.answers(outside)))
    }

    /// Asks all peers.
    pub(super) async fn ask_all(&self, patience: Duration) -> Vec<HostStatus> {
        self.ask(None, HOPS, patience).await
    }
}
