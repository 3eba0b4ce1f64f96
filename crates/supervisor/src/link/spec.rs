//! [`LinkSpec`]: who this supervisor is, whom it talks with, and where its states come from.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use masque_fleet::{
    model::{Fleet, ServiceId},
    status::{HostStatus, State},
};
use masque_home::identity::{KeyPair, PublicKey};
use masque_types::BoxFuture;
use tokio::sync::{mpsc, watch};

use super::{News, parse_host_key, print_host_key};
use crate::Error;

/// Where services stand.
pub type States = Arc<BTreeMap<ServiceId, State>>;

/// Tells everything about this supervisor's services, when another one asks.
#[derive(Clone)]
pub struct StatusSource(Arc<dyn Fn() -> BoxFuture<'static, HostStatus> + Send + Sync>);

impl StatusSource {
    /// Whatever that function tells.
    pub fn new(tell: impl Fn() -> BoxFuture<'static, HostStatus> + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    pub(super) async fn tell(&self) -> HostStatus {
        (self.0)().await
    }
}

impl fmt::Debug for StatusSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatusSource")
    }
}

/// How often, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rhythm {
    /// Between two questions.
    pub beat: Duration,
    /// How long an answer is good for, from its question on; also how long anything on a connection may take.
    pub lease: Duration,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self { beat: Duration::from_secs(1), lease: Duration::from_secs(5) }
    }
}

/// The side of this supervisor towards other hosts.
#[derive(Debug, Clone)]
pub struct Tcp {
    /// The key of this host.
    pub key: KeyPair,
    /// Address and port to listen on; absent: this side dials only.
    pub listen: Option<String>,
}

/// How a peer is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Over the network.
    Tcp {
        /// Its public key.
        key: PublicKey,
        /// Its address and port; absent: it dials.
        address: Option<String>,
    },
    /// Through its socket in the shared directory.
    Unix,
}

/// Another supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name: its host's, or `host.group` where it supervises one group only.
    pub name: String,
    /// Its host.
    pub host: String,
    /// How it is reached.
    pub route: Route,
}

/// What a link is made from.
#[derive(Debug)]
pub struct LinkSpec {
    /// The fleet; supervisors of other fleets are refused.
    pub fleet: String,
    /// The name of this supervisor: its host's, or `host.group`.
    pub name: String,
    /// Its host.
    pub host: String,
    /// Its side towards other hosts.
    pub tcp: Option<Tcp>,
    /// Directory that supervisors of this host share for their sockets.
    pub unix: Option<PathBuf>,
    /// The others.
    pub peers: Vec<Peer>,
    /// How often and how long.
    pub rhythm: Rhythm,
    /// Where the services of this supervisor stand: each change is told at once.
    pub states: watch::Receiver<States>,
    /// Everything about them, for those who ask.
    pub status: StatusSource,
    /// Where news go. What waits for a slow reader is joined: its newest states only.
    pub news: mpsc::Sender<News>,
}

impl LinkSpec {
    pub(super) fn check(&self) -> Result<(), Error> {
        let mut keys: BTreeMap<PublicKey, &str> = BTreeMap::new();
        if let Some(tcp) = &self.tcp {
            keys.insert(tcp.key.public(), &self.host);
        }
        for peer in &self.peers {
            let Route::Tcp { key, address } = &peer.route else { continue };
            if let Some(first) = keys.insert(*key, &peer.host) {
                return Err(Error::SameHostKey { first: first.to_owned(), second: peer.host.clone() });
            }
            let tcp = self.tcp.as_ref().ok_or_else(|| Error::NoHostKey { host: self.host.clone() })?;
            if tcp.listen.is_none() && address.is_none() {
                return Err(Error::NoLinkAddress { own: self.host.clone(), peer: peer.host.clone() });
            }
        }
        Ok(())
    }

    /// The peers that this side dials: place in the list, address.
    pub(super) fn to_dial_by_tcp(&self) -> Vec<(usize, String)> {
        let listens = self.tcp.as_ref().is_some_and(|tcp| tcp.listen.is_some());
        let dialled = self.peers.iter().enumerate().filter_map(|(place, peer)| match &peer.route {
            Route::Tcp { address: Some(address), .. } if !listens || self.name < peer.name => {
                Some((place, address.clone()))
            }
            _ => None,
        });
        dialled.collect()
    }

    /// The peers whose socket this side dials: place in the list, name.
    pub(super) fn to_dial_by_unix(&self) -> Vec<(usize, String)> {
        let peers = self.peers.iter().enumerate();
        let dialled = peers.filter(|(_, peer)| peer.route == Route::Unix && self.name < peer.name);
        dialled.map(|(place, peer)| (place, peer.name.clone())).collect()
    }
}

/// The other hosts of a fleet as a host's peers. Empty where no other host can be linked: none has `link` or `key`.
///
/// # Errors
/// When hosts that are to be linked lack keys, have wrong ones, or the host itself has another one than `own`.
pub fn peers_of(fleet: &Fleet, host: &str, own: &PublicKey) -> Result<Vec<Peer>, Error> {
    if fleet.hosts.values().all(|host| host.link.is_none() && host.key.is_none()) {
        return Ok(Vec::new());
    }
    let mut peers = Vec::new();
    for (name, declared) in &fleet.hosts {
        let text = declared.key.as_ref().ok_or_else(|| Error::NoHostKey { host: name.clone() })?;
        let key = parse_host_key(&format!("hosts.{name}.key"), text)?;
        if name == host && key != *own {
            let (own, told) = (print_host_key(own), print_host_key(&key));
            return Err(Error::OtherHostKey { host: name.clone(), own, told });
        }
        if name != host {
            let route = Route::Tcp { key, address: declared.link.clone() };
            peers.push(Peer { name: name.clone(), host: name.clone(), route });
        }
    }
    Ok(peers)
}
