//! What supervisors tell each other: the states of their services, as leases.
//!
//! A supervisor knows another one's states only as long as that one answers: whatever it tells carries the number of the
//! last question that it heard, and is good for [`Rhythm::lease`] from the moment when that question was asked. So no
//! wall clocks are compared, and neither a delayed message nor a buffer full of old ones renews anything. When a lease
//! ends, all that the other one told is unknown ([`News::Lost`]); when it answers again, it tells everything anew.
//!
//! Between hosts the link is TCP with TLS 1.3 in which both sides show the raw public key of their host ([RFC 7250]) and
//! nothing else is believed. Between supervisors of one host it is a unix socket in a directory that only their user can
//! write to. One connection serves both directions; of two that can be dialled, the lower name dials.
//!
//! What one tells is bounded and the newest wins: a slow peer gets the difference to the newest states, not their history.
//! Supervisors of one host tell each other also what they heard from other hosts, and other hosts what they heard from
//! each other; nothing is told on the way that it came.
//!
//! Leaves out what a state means for the services here: the runner gets [`News`].
//!
//! [RFC 7250]: https://www.rfc-editor.org/rfc/rfc7250

mod accept;
mod backoff;
mod book;
mod connection;
mod dial;
mod frame;
mod greeting;
mod key;
mod lease;
mod spec;
mod table;
mod teller;
mod tls;
mod unix;

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use masque_fleet::{
    model::ServiceId,
    status::{HostStatus, Reach, State},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub use key::{parse_host_key, print_host_key};
pub use spec::{LinkSpec, Peer, Rhythm, Route, States, StatusSource, Tcp, peers_of};

use crate::Error;
use table::{Shared, Table};

/// What is known anew about other supervisors. For the machine, only [`News::States`] matters; the others are for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Services of others: where they stand now, or that it is not known any more. Only what changed; each at most once.
    States(Vec<(ServiceId, Option<State>)>),
    /// A supervisor answers, for the first time or again.
    Connected {
        /// Its name.
        peer: String,
    },
    /// A supervisor has not answered for the time of its lease. That its states are unknown is told by the next or the
    /// same turn's [`News::States`].
    Lost {
        /// Its name.
        peer: String,
    },
    /// Something is wrong that somebody has to mend: a wrong key, another fleet. Told once as long as it is the same.
    Trouble {
        /// The peer, or the address of a stranger.
        from: String,
        /// What, with what was expected.
        why: String,
    },
}

/// How a peer is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its name.
    pub name: String,
    /// Its host.
    pub host: String,
    /// Whether it answers.
    pub reach: Reach,
    /// How long ago it was heard last.
    pub heard: Option<Duration>,
    /// Why it is not connected, as far as this side knows.
    pub trouble: Option<String>,
}

/// A link that has all that it can be refused, and neither answers nor dials yet.
pub(crate) struct Bound {
    spec: LinkSpec,
    ends: Option<tls::Ends>,
    listener: Option<TcpListener>,
    socket: Option<unix::Socket>,
}

impl Bound {
    /// Takes the addresses that the specification says.
    ///
    /// # Errors
    /// When keys or addresses of the specification cannot work together, or its address cannot be listened on.
    pub(crate) async fn bind(spec: LinkSpec) -> Result<Self, Error> {
        spec.check()?;
        let ends = spec.tcp.as_ref().map(|tcp| tls::Ends::new(&tcp.key, &spec.peers)).transpose()?;
        let listener = match spec.tcp.as_ref().and_then(|tcp| tcp.listen.as_ref()) {
            Some(listen) => Some(accept::tcp(listen).await?),
            None => None,
        };
        let socket = spec.unix.as_ref().map(|directory| unix::Socket::bind(directory, &spec.name)).transpose()?;
        Ok(Self { spec, ends, listener, socket })
    }

    /// Begins to answer and to dial. What it tells first is what `spec.states` holds now.
    pub(crate) fn start(self) -> Link {
        let Self { spec, ends, listener, socket } = self;
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        let shared = Arc::new(Shared::new(&spec, stop.clone()));
        let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Some(ends) = ends {
            for (place, dial) in spec.to_dial_by_tcp() {
                tasks.spawn(dial::keep(shared.clone(), place, dial::Target::Tcp(dial, ends.clone())));
            }
            if let Some(listener) = listener {
                tasks.spawn(accept::serve_tcp(shared.clone(), listener, ends));
            }
        }
        if let Some((directory, socket)) = spec.unix.as_ref().zip(socket) {
            tasks.spawn(accept::serve_unix(shared.clone(), socket));
            for (place, name) in spec.to_dial_by_unix() {
                tasks.spawn(dial::keep(shared.clone(), place, dial::Target::Unix(directory.clone(), name)));
            }
        }
        tasks.spawn(teller::run(shared.clone(), spec.states, spec.news));
        Link { shared, stop, tasks, address }
    }
}

/// The link of a running supervisor.
#[derive(Debug)]
pub struct Link {
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    address: Option<SocketAddr>,
}

impl Link {
    /// Listens, and dials whom this side has to dial. What it tells first is what `spec.states` holds now: a supervisor
    /// that found its services running again puts that there before.
    ///
    /// # Errors
    /// When keys or addresses of the specification cannot work together, or its address cannot be listened on.
    pub async fn start(spec: LinkSpec) -> Result<Self, Error> {
        Ok(Bound::bind(spec).await?.start())
    }

    /// The address that it listens on, with the port that the system gave where none was asked for.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The other supervisors.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.shared.with(Table::statuses)
    }

    /// The states of all other hosts' services, and of this host's other supervisors, by host. Asks those who answer and
    /// waits for them at most so long; of the others it tells what was heard last.
    pub async fn hosts(&self, patience: Duration) -> Vec<HostStatus> {
        self.shared.ask_all(patience).await
    }

    /// Ends all connections and waits until nothing of the link is left.
    pub async fn close(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}
