//! With whom the supervisor of a place speaks: other hosts over the network, supervisors of this host through sockets.

use std::collections::BTreeSet;

use masque_supervisor::{
    link::{Peer, Route, Tcp, peers_of},
    runner::LinkParts,
};

use super::{Place, keys};
use crate::{Error, host::Host};

/// Directory of the sockets, beside the state directories of the host's supervisors.
const SOCKETS: &str = "link";

impl Place {
    /// How the supervisor of this place reaches others; none where there are none.
    ///
    /// The supervisor of a whole host speaks with other hosts. Those of single groups speak with it and with each other.
    ///
    /// # Errors
    /// When hosts that are to be linked lack keys or have wrong ones, or this machine has none.
    pub(super) fn link(&self, host: &Host) -> Result<Option<LinkParts>, Error> {
        let (mut peers, mut tcp, mut unix) = (Vec::new(), None, None);
        let links = self.fleet.hosts.values().any(|host| host.key.is_some());
        if links && self.groups.is_empty() && self.fleet.hosts.len() > 1 {
            let key = keys::own(host, &self.host)?;
            peers.extend(peers_of(&self.fleet, &self.host, &key.public())?);
            let listen = self.fleet.hosts.get(&self.host).and_then(|host| host.link.clone());
            tcp = Some(Tcp { key, listen });
        }
        let neighbours = self.neighbours();
        if !neighbours.is_empty()
            && let Some(directory) = self.directory.parent().map(|states| states.join(SOCKETS))
        {
            masque_home::create_private_directory(&directory)?;
            peers.extend(neighbours);
            unix = Some(directory);
        }
        let name = supervisor(&self.host, &self.groups);
        Ok((!peers.is_empty()).then_some(LinkParts { name, tcp, unix, peers }))
    }

    /// The supervisors that this host may have beside this one: where it is the host's own, those of groups that are
    /// containers; where it is a group's, that of the host and those of all other groups.
    fn neighbours(&self) -> Vec<Peer> {
        let is_own = |group: &str| {
            let container = self.fleet.groups.get(group).is_some_and(|group| group.container.is_some());
            !self.groups.contains(group) && (container || !self.groups.is_empty())
        };
        let groups: BTreeSet<&str> =
            self.fleet.services_of(&self.host).filter_map(|service| service.group.as_deref()).collect();
        let names = groups.into_iter().filter(|group| is_own(group)).map(|group| format!("{}.{group}", self.host));
        let whole = (!self.groups.is_empty()).then(|| self.host.clone());
        let peer = |name| Peer { name, host: self.host.clone(), route: Route::Unix };
        names.chain(whole).map(peer).collect()
    }
}

/// The name of a supervisor: its host's, or the host's and the groups'.
pub(super) fn supervisor(host: &str, groups: &BTreeSet<String>) -> String {
    match groups.is_empty() {
        true => host.to_owned(),
        false => format!("{host}.{}", groups.iter().map(String::as_str).collect::<Vec<_>>().join("+")),
    }
}
