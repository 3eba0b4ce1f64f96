//! Dialling a peer, again and again, with growing waits between.

use std::{io, path::PathBuf, sync::Arc};

use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsConnector;

use super::{
    backoff::Backoff, connection::converse, greeting::introduce, print_host_key, table::Shared, tls::Ends, unix,
};
use crate::Error;

/// Where a peer is.
pub(super) enum Target {
    /// An address and port, and this host's ends.
    Tcp(String, Ends),
    /// The shared directory, and the name of its socket there.
    Unix(PathBuf, String),
}

/// Keeps a connection to a peer until the link is closed.
pub(super) async fn keep(shared: Arc<Shared>, place: usize, target: Target) {
    let mut backoff = Backoff::new();
    loop {
        let begun = Instant::now();
        let ended = tokio::select! {
            () = shared.stop.cancelled() => return,
            ended = Box::pin(once(&shared, place, &target)) => ended,
        };
        if let Err(error) = ended {
            shared.trouble(place, &error);
        }
        if begun.elapsed() > shared.rhythm.lease {
            backoff = Backoff::new();
        }
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = sleep(backoff.next(rand::random())) => {}
        }
    }
}

async fn once(shared: &Shared, place: usize, target: &Target) -> Result<(), Error> {
    let begun = Instant::now();
    let Some(name) = shared.quietly(|table| table.peer(place).map(|peer| peer.name.clone())) else { return Ok(()) };
    let within = shared.rhythm.lease;
    match target {
        Target::Tcp(address, ends) => {
            let talked = async {
                let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("{address} does not answer"));
                let stream = timeout(within, TcpStream::connect(address)).await.map_err(late)?;
                let stream = stream.map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
                stream.set_nodelay(true)?;
                // Names play no part: the key is the identity.
                let nobody = ServerName::try_from("masque").map_err(io::Error::other)?;
                let shaken = TlsConnector::from(ends.client(place)?).connect(nobody, stream);
                let mut stream = timeout(within, shaken).await.map_err(late)??;
                introduce(&mut stream, &shared.hello, &name, within).await?;
                converse(shared, place, stream, begun).await
            };
            talked.await.map_err(|error| explained(error, ends))
        }
        Target::Unix(directory, socket) => {
            let mut stream = unix::connect(directory, socket).await?;
            unix::check_user(&stream)?;
            introduce(&mut stream, &shared.hello, &name, within).await?;
            converse(shared, place, stream, begun).await
        }
    }
}

/// What TLS says, in words that say what to do.
pub(super) fn explained(error: Error, ends: &Ends) -> Error {
    let Error::Io(outer) = &error else { return error };
    let inner = outer.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::General(why)) => Error::Talk(why.clone()),
        Some(rustls::Error::AlertReceived(_)) => {
            let own = print_host_key(&ends.own());
            Error::Talk(format!("it refused the key of this host, {own}: does its manifest name that one?"))
        }
        Some(other) => Error::Talk(format!("it does not show a host's key with TLS 1.3: {other}")),
        None => error,
    }
}
