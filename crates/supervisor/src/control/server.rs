//! The server of the control socket: reads requests, hands them to the runner, writes what it answers.

use std::{os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration};

use futures::StreamExt as _;
use masque_fleet::status::Change;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream, unix::OwnedReadHalf, unix::OwnedWriteHalf},
    sync::{broadcast, mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Feed, SOCKET,
    feed::Lines,
    message::{Answer, Request},
};
use crate::{Error, directory::StateDirectory};

/// Longest request in bytes.
const LONGEST_REQUEST: u64 = 64 << 10;
/// Clients that are served at once; further ones wait.
const MOST_CLIENTS: usize = 64;
/// How long the server waits after it could not accept, for example because no descriptor was left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// A request on its way to the runner.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What is asked.
    pub(crate) request: Request,
    /// Where the answer goes.
    pub(crate) reply: oneshot::Sender<Result<Reply, Error>>,
}

/// What the runner answers.
#[derive(Debug)]
pub(crate) struct Reply {
    /// What is told at once.
    pub(crate) answers: Vec<Answer>,
    /// What comes after that.
    pub(crate) then: Then,
}

/// What comes after the first answers.
#[derive(Debug)]
pub(crate) enum Then {
    /// Nothing.
    Done,
    /// Changes as they happen.
    Changes(broadcast::Receiver<Arc<Change>>),
    /// What services print: the last lines of each, and those to come when `follow` says so.
    Logs {
        /// The services' logs.
        feeds: Vec<Feed>,
        /// How many lines of each.
        lines: usize,
        /// Whether those to come are told.
        follow: bool,
    },
}

impl Reply {
    /// An answer that is complete.
    pub(crate) const fn done(answers: Vec<Answer>) -> Self {
        Self { answers, then: Then::Done }
    }
}

/// The bound socket.
#[derive(Debug)]
pub(crate) struct Server {
    listener: UnixListener,
    asked: mpsc::Sender<Asked>,
}

impl Server {
    /// Binds the socket. Whatever a dead supervisor left is removed, so the lock has to be held.
    pub(crate) fn bind(directory: &StateDirectory, asked: mpsc::Sender<Asked>) -> Result<Self, Error> {
        let path = directory.join(SOCKET);
        match fs_err::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let listener = UnixListener::bind(directory.short(SOCKET))?;
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, asked })
    }

    /// Removes the socket, so that nobody new comes.
    pub(crate) fn forget(directory: &StateDirectory) {
        // Whoever comes next removes it otherwise.
        let _ = fs_err::remove_file(directory.join(SOCKET));
    }

    /// Serves until it is told to stop. Connections are closed with it.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept(), if clients.len() < MOST_CLIENTS => match accepted {
                    Ok((stream, _)) => drop(clients.spawn(serve(stream, self.asked.clone(), stop.clone()))),
                    Err(error) => {
                        tracing::warn!("the control socket cannot be served: {error}");
                        tokio::time::sleep(ACCEPT_AGAIN).await;
                    }
                },
                Some(_) = clients.join_next() => {}
            }
        }
        while clients.join_next().await.is_some() {}
    }
}

async fn serve(stream: UnixStream, asked: mpsc::Sender<Asked>, stop: CancellationToken) {
    let own = rustix::process::geteuid().as_raw();
    if !stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0) {
        return;
    }
    let (read, write) = stream.into_split();
    let mut connection = Connection { read: BufReader::new(read), write, asked };
    tokio::select! {
        () = stop.cancelled() => {}
        // A client that went, or says nonsense, is no matter of the supervisor.
        _ = connection.serve() => {}
    }
}

struct Connection {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
    asked: mpsc::Sender<Asked>,
}

impl Connection {
    async fn serve(&mut self) -> std::io::Result<()> {
        loop {
            let mut line = String::new();
            let read = (&mut self.read).take(LONGEST_REQUEST).read_line(&mut line).await?;
            if read == 0 {
                return Ok(());
            }
            match serde_json::from_str(&line) {
                Ok(request) => self.answer(request).await?,
                Err(error) => self.tell(&Answer::Failed(format!("no request of this version: {error}"))).await?,
            }
        }
    }

    async fn answer(&mut self, request: Request) -> std::io::Result<()> {
        let (reply, answer) = oneshot::channel();
        if self.asked.send(Asked { request, reply }).await.is_err() {
            return self.tell(&Answer::Failed("the supervisor is ending".to_owned())).await;
        }
        match answer.await {
            Ok(Ok(reply)) => self.reply(reply).await,
            Ok(Err(error)) => self.tell(&Answer::Failed(error.to_string())).await,
            Err(_) => self.tell(&Answer::Failed("the supervisor is ending".to_owned())).await,
        }
    }

    async fn reply(&mut self, reply: Reply) -> std::io::Result<()> {
        for answer in &reply.answers {
            self.tell(answer).await?;
        }
        match reply.then {
            Then::Done => {}
            Then::Changes(changes) => self.changes(changes).await?,
            Then::Logs { feeds, lines, follow } => match Lines::of(feeds, lines, follow).await {
                Ok(lines) => self.lines(lines, follow).await?,
                Err(error) => return self.tell(&Answer::Failed(error.to_string())).await,
            },
        }
        self.tell(&Answer::Done).await
    }

    /// Tells changes until the client goes.
    async fn changes(&mut self, mut changes: broadcast::Receiver<Arc<Change>>) -> std::io::Result<()> {
        loop {
            let answer = tokio::select! {
                change = changes.recv() => match change {
                    Ok(change) => Answer::Change((*change).clone()),
                    Err(broadcast::error::RecvError::Lagged(missed)) => Answer::Missed(missed),
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                },
                gone = self.read.fill_buf() => return gone.map(drop),
            };
            self.tell(&answer).await?;
        }
    }

    /// Tells lines; with `follow` until the client goes.
    async fn lines(&mut self, lines: Lines, follow: bool) -> std::io::Result<()> {
        let Lines { printed, mut to_come } = lines;
        for line in printed {
            self.tell(&Answer::Line(line)).await?;
        }
        if !follow {
            return Ok(());
        }
        loop {
            let answer = tokio::select! {
                answer = to_come.next() => answer,
                gone = self.read.fill_buf() => return gone.map(drop),
            };
            let Some(answer) = answer else { return Ok(()) };
            self.tell(&answer).await?;
        }
    }

    async fn tell(&mut self, answer: &Answer) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(answer)?;
        line.push(b'\n');
        self.write.write_all(&line).await
    }
}
