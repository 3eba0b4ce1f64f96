//! [`Connection`]: one connection of a REQ socket. Whatever the other side sends, it is bounded.

use std::io;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::{
    Failure,
    frame::{self, Command, Flags, GREETING, LARGEST_COMMAND, LARGEST_REPLY},
};
use crate::probe::address::{connect, sentence};

/// Bytes that are read at once.
const BUFFER: usize = 4 << 10;
/// Parts of a reply, at most.
const PARTS: usize = 64;
/// Commands before a reply, at most.
const COMMANDS: usize = 64;

/// A connection to a REP or ROUTER socket.
#[derive(Debug)]
pub(super) struct Connection {
    address: String,
    stream: BufReader<TcpStream>,
}

/// What came next.
enum Received {
    Part { body: Vec<u8>, more: bool },
    Command(Vec<u8>),
}

impl Connection {
    /// Connects. The request has to wait until the other side says that it is ready: what comes earlier is refused.
    pub(super) async fn open(address: &str) -> Result<Self, Failure> {
        let stream = connect(address).await.map_err(Failure::Connection)?;
        let mut connection = Self { address: address.to_owned(), stream: BufReader::with_capacity(BUFFER, stream) };
        connection.write(&[frame::greeting(), frame::ready()].concat()).await?;
        connection.greet().await?;
        Ok(connection)
    }

    /// Asks.
    pub(super) async fn ask(&mut self, request: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
        self.write(request).await?;
        self.reply().await
    }

    /// Whether it is open and nothing came that nobody asked for.
    pub(super) fn is_quiet(&self) -> bool {
        let nothing = |result: io::Result<usize>| result.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        // The runtime may not have seen yet that something came, so the socket itself is asked.
        let mut byte = [0];
        let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
        let looked = rustix::net::recv(self.stream.get_ref(), &mut byte[..], flags);
        self.stream.buffer().is_empty() && nothing(looked.map(|(length, _)| length).map_err(io::Error::from))
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream.get_mut().write_all(bytes).await.map_err(|error| self.broken(&error))
    }

    fn broken(&self, error: &io::Error) -> Failure {
        Failure::Connection(sentence(&self.address, error))
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Failure {
        Failure::Protocol(format!("{} {what}", self.address))
    }

    /// Reads the greeting of the other side, and that it is ready.
    async fn greet(&mut self) -> Result<(), Failure> {
        let mut greeting = [0; GREETING];
        // Who does not speak the protocol may say less and wait.
        let read = self.stream.read_exact(greeting.split_at_mut(1).0).await;
        read.map_err(|error| self.broken(&error))?;
        if greeting.first() != Some(&0xff) {
            return Err(self.wrong("does not speak ZeroMQ"));
        }
        let read = self.stream.read_exact(greeting.split_at_mut(1).1).await;
        read.map_err(|error| self.broken(&error))?;
        frame::check_greeting(&greeting).map_err(|why| self.wrong(why))?;
        for _ in 0..COMMANDS {
            let Received::Command(body) = self.receive(LARGEST_REPLY).await? else {
                return Err(self.wrong("sent a message before it was ready"));
            };
            match Command::read(&body) {
                Some(Command::Ready(b"REP" | b"ROUTER" | b"")) => return Ok(()),
                Some(Command::Ready(other)) => {
                    let other = String::from_utf8_lossy(other).chars().take(20).collect::<String>();
                    return Err(self.wrong(format!("is a {other} socket: expected REP or ROUTER")));
                }
                command => self.obey(command).await?,
            }
        }
        Err(self.wrong("sends commands without end"))
    }

    /// Reads one message.
    async fn reply(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        let (mut parts, mut room, mut commands) = (Vec::new(), LARGEST_REPLY, 0);
        loop {
            match self.receive(room).await? {
                Received::Command(body) => {
                    commands += 1;
                    if commands > COMMANDS {
                        return Err(self.wrong("sends commands without end"));
                    }
                    self.obey(Command::read(&body)).await?;
                }
                Received::Part { body, more } => {
                    room = room.saturating_sub(body.len() as u64);
                    parts.push(body);
                    if !more {
                        return Ok(parts);
                    }
                    if parts.len() >= PARTS {
                        return Err(self.wrong(format!("sent a reply of more than {PARTS} parts")));
                    }
                }
            }
        }
    }

    async fn obey(&mut self, command: Option<Command<'_>>) -> Result<(), Failure> {
        match command {
            Some(Command::Ping(answer)) => self.write(&answer).await,
            Some(Command::Error(reason)) => {
                let reason: String = String::from_utf8_lossy(reason).chars().take(200).collect();
                Err(self.wrong(format!("refuses: {reason}")))
            }
            Some(_) => Ok(()),
            None => Err(self.wrong("sent a command that cannot be read")),
        }
    }

    /// Reads one frame whose body may have so many bytes. Memory grows with what really comes.
    async fn receive(&mut self, room: u64) -> Result<Received, Failure> {
        let read = self.stream.read_u8().await;
        let flags = Flags::read(read.map_err(|error| self.broken(&error))?).map_err(|why| self.wrong(why))?;
        let size = if flags.long { self.stream.read_u64().await } else { self.stream.read_u8().await.map(u64::from) };
        let size = size.map_err(|error| self.broken(&error))?;
        if size > if flags.command { LARGEST_COMMAND } else { room } {
            let what = if flags.command { "command" } else { "reply" };
            return Err(
                self.wrong(format!("sent a {what} that is too long: more than {LARGEST_REPLY} bytes are not read"))
            );
        }
        let mut body = Vec::new();
        let read = (&mut self.stream).take(size).read_to_end(&mut body).await;
        read.map_err(|error| self.broken(&error))?;
        if body.len() as u64 != size {
            return Err(self.broken(&io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(if flags.command { Received::Command(body) } else { Received::Part { body, more: flags.more } })
    }
}
