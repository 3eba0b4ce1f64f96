//! Listening: whoever connects has to show within a short time who it is, and is one of a bounded number until then.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustls::server::ServerConnection;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixStream},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    connection::converse,
    dial::explained,
    greeting::welcome,
    table::Shared,
    tls::Ends,
    unix::{Socket, check_user},
};
use crate::Error;

/// Connections that have not shown yet who they are. One more ends the oldest of them: a flood of strangers cannot keep a
/// peer out for longer than it takes to greet.
const MOST_STRANGERS: usize = 64;

/// Bytes that a refused stranger may still send before it is cut off, so that it reads why.
const REFUSED_BYTES: u64 = 64 << 10;

/// Listens on an address.
pub(super) async fn tcp(listen: &str) -> Result<TcpListener, Error> {
    let failed = |source| Error::LinkListen { place: listen.to_owned(), source };
    TcpListener::bind(listen).await.map_err(failed)
}

/// The tasks of accepted connections.
#[derive(Default)]
struct Guests {
    tasks: JoinSet<()>,
    strangers: VecDeque<(AbortHandle, Arc<AtomicBool>)>,
}

impl Guests {
    fn admit<F: Future<Output = ()> + Send + 'static>(&mut self, welcome: impl FnOnce(Arc<AtomicBool>) -> F) {
        while self.tasks.try_join_next().is_some() {}
        self.strangers.retain(|(task, is_known)| !task.is_finished() && !is_known.load(Ordering::Relaxed));
        if self.strangers.len() >= MOST_STRANGERS
            && let Some((oldest, _)) = self.strangers.pop_front()
        {
            oldest.abort();
        }
        let is_known = Arc::new(AtomicBool::new(false));
        let task = self.tasks.spawn(welcome(is_known.clone()));
        self.strangers.push_back((task, is_known));
    }
}

/// Accepts other hosts until the link is closed.
pub(super) async fn serve_tcp(shared: Arc<Shared>, listener: TcpListener, ends: Ends) {
    let mut guests = Guests::default();
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    let (shared, ends) = (shared.clone(), ends.clone());
                    guests.admit(|is_known| welcome_host(shared, ends, stream, from, is_known));
                }
                // No descriptors are left, for example: soon there may be some.
                Err(_) => sleep(shared.rhythm.beat).await,
            },
        }
    }
    guests.tasks.shutdown().await;
}

/// Accepts supervisors of this host until the link is closed.
pub(super) async fn serve_unix(shared: Arc<Shared>, socket: Socket) {
    let mut guests = Guests::default();
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => break,
            accepted = socket.accept() => match accepted {
                Ok(stream) => {
                    let shared = shared.clone();
                    guests.admit(|is_known| welcome_neighbour(shared, stream, is_known));
                }
                Err(_) => sleep(shared.rhythm.beat).await,
            },
        }
    }
    guests.tasks.shutdown().await;
}

async fn welcome_host(shared: Arc<Shared>, ends: Ends, stream: TcpStream, from: SocketAddr, is_known: Arc<AtomicBool>) {
    let begun = Instant::now();
    let mut stream = match shake_hands(&shared, &ends, stream).await {
        Ok(stream) => stream,
        Err(error) => return shared.with(|table| table.stranger(from.to_string(), error.to_string())),
    };
    let connection: &ServerConnection = stream.get_ref().1;
    let Some(place) = ends.peer(connection.peer_certificates()) else { return };
    let Some(name) = shared.quietly(|table| table.peer(place).map(|peer| peer.name.clone())) else { return };
    let talked = match welcome(&mut stream, &shared.hello, &[&name], shared.rhythm.lease).await {
        Ok(_) => {
            is_known.store(true, Ordering::Relaxed);
            converse(&shared, place, stream, begun).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = talked {
        shared.trouble(place, &explained(error, &ends));
    }
}

/// The handshake. Whoever fails it gets to know why: what it still sends is read, for unread bytes would take the answer
/// away from it.
async fn shake_hands(shared: &Shared, ends: &Ends, stream: TcpStream) -> Result<TlsStream<TcpStream>, Error> {
    stream.set_nodelay(true)?;
    let shaken = TlsAcceptor::from(ends.server()).accept(stream).into_fallible();
    let silent = || Error::Talk("it connected and did not begin TLS in time".to_owned());
    match timeout(shared.rhythm.lease, shaken).await.map_err(|_| silent())? {
        Ok(stream) => Ok(stream),
        Err((error, mut stream)) => {
            let drained = async {
                stream.shutdown().await?;
                tokio::io::copy(&mut stream.take(REFUSED_BYTES), &mut tokio::io::sink()).await
            };
            // It is refused in any case; whether it hears why is its matter.
            let _ = timeout(shared.rhythm.beat, drained).await;
            Err(explained(error.into(), ends))
        }
    }
}

async fn welcome_neighbour(shared: Arc<Shared>, mut stream: UnixStream, is_known: Arc<AtomicBool>) {
    let begun = Instant::now();
    let neighbours = shared.quietly(|table| table.neighbours());
    let names: Vec<&str> = neighbours.iter().map(|(_, name)| name.as_str()).collect();
    let greeted = match check_user(&stream) {
        Ok(()) => welcome(&mut stream, &shared.hello, &names, shared.rhythm.lease).await,
        Err(error) => Err(error),
    };
    let place = |name: &String| neighbours.iter().find(|(_, known)| known == name).map(|(place, _)| *place);
    match greeted.as_ref().map(place) {
        Ok(Some(place)) => {
            is_known.store(true, Ordering::Relaxed);
            if let Err(error) = converse(&shared, place, stream, begun).await {
                shared.trouble(place, &error);
            }
        }
        Ok(None) => {}
        Err(error) => shared.with(|table| table.stranger("a program on this host".to_owned(), error.to_string())),
    }
}
