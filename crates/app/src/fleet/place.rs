//! [`Place`]: the part of a fleet that one supervisor has, and where it keeps its state. Leaves out finding the
//! supervisor, which [`super::reach`] does.

use std::{
    collections::BTreeSet,
    net::{IpAddr, UdpSocket},
    path::PathBuf,
};

use masque_fleet::model::{Fleet, Service};
use masque_types::digest::Digest;

use super::{
    Manifest,
    card::{self, Card, FLEETS},
    link::supervisor,
};
use crate::{Error, host::Host};

/// The part of a fleet that one supervisor has.
#[derive(Debug, Clone)]
pub struct Place {
    /// The manifest.
    pub manifest: Manifest,
    /// The whole fleet.
    pub fleet: Fleet,
    /// The host that this is.
    pub host: String,
    /// The groups; all of the host when empty.
    pub groups: BTreeSet<String>,
    /// The state directory.
    pub directory: PathBuf,
    /// Where the state directories of all fleets are.
    pub(super) home: PathBuf,
}

impl Place {
    pub(super) fn of(host: &Host, manifest: &Manifest) -> Result<Self, Error> {
        let fleet = manifest.fleet()?.clone();
        let name = host_of(&fleet, manifest.asked.host.as_deref())?;
        let groups: BTreeSet<String> = manifest.asked.groups.iter().cloned().collect();
        refuse_unknown_groups(&fleet, &name, &groups)?;
        let directory =
            host.home.join(state_name(&fleet, &manifest.canonical_files())).join(supervisor(&name, &groups));
        let home = host.home.clone();
        Ok(Self { manifest: manifest.clone(), fleet, host: name, groups, directory, home })
    }

    /// What a supervisor that was started earlier from the same files wrote down about itself: all that is needed to
    /// reach it when the files have errors meanwhile. Its services are not known then.
    pub(super) fn remembered(host: &Host, manifest: &Manifest) -> Option<Self> {
        let (files, asked) = (manifest.canonical_files(), &manifest.asked);
        let is_meant = |found: &card::Found| {
            let groups: BTreeSet<&String> = asked.groups.iter().collect();
            found.card.files == files
                && asked.host.as_ref().is_none_or(|host| *host == found.card.host)
                && found.card.groups.iter().eq(groups)
        };
        let found = card::all(&host.home).filter(is_meant).max_by_key(|found| found.process.is_some())?;
        let Card { fleet: name, directory, host: own, groups, .. } = found.card;
        let fleet = Fleet { name, directory, ..Fleet::default() };
        let (manifest, home) = (manifest.clone(), host.home.clone());
        Some(Self { manifest, fleet, host: own, groups, directory: found.state, home })
    }

    /// What its supervisor is known by.
    pub(super) fn card(&self) -> Card {
        Card::new(&self.fleet.name, &self.fleet.directory, &self.manifest.files, &self.host, &self.groups)
    }

    /// The services that its supervisor has.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.fleet.services.iter().filter(|service| self.owns(service))
    }

    /// Whether its supervisor has that service.
    #[must_use]
    pub fn owns(&self, service: &Service) -> bool {
        let in_group = || service.group.as_ref().is_some_and(|group| self.groups.contains(group));
        service.id.host == self.host && (self.groups.is_empty() || in_group())
    }
}

/// Where all supervisors of a fleet keep their state, from the home on. Fleets of one name from other files, or in other
/// directories, are other fleets.
pub(super) fn state_name(fleet: &Fleet, files: &[PathBuf]) -> PathBuf {
    let paths = std::iter::once(&fleet.directory).chain(files);
    let bytes: Vec<u8> =
        paths.flat_map(|path| path.as_os_str().as_encoded_bytes().iter().copied().chain([0])).collect();
    let digest = Digest::of(&bytes);
    let hex: String = digest.as_bytes().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    PathBuf::from(FLEETS).join(format!("{}-{hex}", fleet.name))
}

/// Refuses groups that a host does not have.
pub(super) fn refuse_unknown_groups(fleet: &Fleet, host: &str, groups: &BTreeSet<String>) -> Result<(), Error> {
    for group in groups {
        let is_here = |service: &Service| service.group.as_ref() == Some(group);
        if !fleet.services_of(host).any(is_here) {
            return Err(Error::usage(format!("host `{host}` has no service of a group `{group}`"))
                .hint(format!("its groups: {}", groups_of(fleet, host))));
        }
    }
    Ok(())
}

/// The host that is asked for, or that this machine is: the only one, the one of its name, the one of its address.
pub(super) fn host_of(fleet: &Fleet, asked: Option<&str>) -> Result<String, Error> {
    let names: Vec<&String> = fleet.hosts.keys().collect();
    let list = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(asked) = asked {
        let found = names.iter().find(|name| name.as_str() == asked).map(|name| (*name).clone());
        let unknown = || Error::usage(format!("the fleet has no host `{asked}`")).hint(format!("its hosts: {list}"));
        return found.ok_or_else(unknown);
    }
    if let [only] = names.as_slice() {
        return Ok((*only).clone());
    }
    let own_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let by_name = names.iter().find(|name| ***name == own_name).map(|name| (*name).clone());
    let by_address = || {
        let mut here = fleet.hosts.iter().filter(|(_, host)| host.address.as_deref().is_some_and(is_own_address));
        here.next().map(|(name, _)| name.clone()).filter(|_| here.next().is_none())
    };
    by_name.or_else(by_address).ok_or_else(|| {
        Error::usage(format!("this machine, `{own_name}`, is none of the fleet's hosts by its name or address"))
            .hint(format!("say which one it is: --host HOST, one of {list}"))
    })
}

/// Whether that address is one of this machine's, so that a socket can be bound to it.
fn is_own_address(address: &str) -> bool {
    let address: Option<IpAddr> = address.parse().ok();
    address.is_some_and(|address| !address.is_unspecified() && UdpSocket::bind((address, 0)).is_ok())
}

fn groups_of(fleet: &Fleet, host: &str) -> String {
    let groups: BTreeSet<&str> = fleet.services_of(host).filter_map(|service| service.group.as_deref()).collect();
    match groups.is_empty() {
        true => "none".to_owned(),
        false => groups.into_iter().collect::<Vec<_>>().join(", "),
    }
}
