//! [`Place`]: the part of a fleet that one supervisor has, and where it keeps its state.

use std::{
    collections::BTreeSet,
    net::{IpAddr, UdpSocket},
    path::PathBuf,
};

use masque_fleet::model::{Fleet, Service};
use masque_supervisor::{control::Client, directory::StateDirectory};
use masque_types::digest::Digest;

use super::{Manifest, link::supervisor};
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
}

impl Place {
    pub(super) fn of(host: &Host, manifest: &Manifest) -> Result<Self, Error> {
        let fleet = manifest.fleet()?.clone();
        let name = host_of(&fleet, manifest.asked.host.as_deref())?;
        let groups: BTreeSet<String> = manifest.asked.groups.iter().cloned().collect();
        for group in &groups {
            let is_here = |service: &Service| service.group.as_ref() == Some(group);
            if !fleet.services_of(&name).any(is_here) {
                return Err(Error::usage(format!("host `{name}` has no service of a group `{group}`"))
                    .hint(format!("its groups: {}", groups_of(&fleet, &name))));
            }
        }
        let directory = state_of(host, &fleet).join(supervisor(&name, &groups));
        Ok(Self { manifest: manifest.clone(), fleet, host: name, groups, directory })
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

    /// Its supervisor.
    ///
    /// # Errors
    /// When none runs.
    pub async fn connect(&self) -> Result<Client, Error> {
        let directory = StateDirectory::open(&self.directory).map_err(|error| self.named(error))?;
        Client::connect(&directory).await.map_err(|error| self.named(error))
    }

    /// The process of its supervisor, if one runs.
    ///
    /// # Errors
    /// When the state directory cannot be read.
    pub fn supervisor(&self) -> Result<Option<u32>, Error> {
        match StateDirectory::open(&self.directory) {
            Ok(directory) => Ok(directory.supervisor()?),
            Err(masque_supervisor::Error::NotRunning { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Says of what nobody runs, where the supervisor's own error knows a directory only.
    fn named(&self, error: masque_supervisor::Error) -> Error {
        match error {
            masque_supervisor::Error::NotRunning { .. } => {
                let what = format!("fleet `{}` is not up on host `{}`", self.fleet.name, self.host);
                Error::environment(what).hint("start it: masque fleet up -d")
            }
            error => error.into(),
        }
    }
}

/// Where all supervisors of a fleet keep their state: fleets of one name in two directories are two fleets.
fn state_of(host: &Host, fleet: &Fleet) -> PathBuf {
    host.home.join(state_name(fleet))
}

/// The same, from the home on.
pub(super) fn state_name(fleet: &Fleet) -> PathBuf {
    let digest = Digest::of(fleet.directory.as_os_str().as_encoded_bytes());
    let hex: String = digest.as_bytes().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    PathBuf::from("fleet").join(format!("{}-{hex}", fleet.name))
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
