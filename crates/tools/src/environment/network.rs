//! The way out of an environment: the network that all its programs share, and the broker at its border.
//!
//! Leaves out what the broker lets through, which is the egress crate's, and how the device is set up, which is the
//! sandbox's.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use masque_egress::{
    AddressPolicy, Broker, BrokerSpec, CERTIFICATE_VARIABLES, DEVICE, Event, HostName, Limits, Resolver, Rules,
    SecretRule, SystemResolver, Trust,
};
use masque_sandbox::{DeviceSettings, FILES_DIRECTORY, Launcher, NetworkSpace};
use masque_types::persona::Persona;
use url::{Host, Url};

use super::secrets::{Bound, Secrets};
use crate::Error;

/// Where machines keep the authorities that they trust.
const AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// The name of the file with authorities, of the machine and of the broker.
const BUNDLE: &str = "authorities.pem";

/// How the border of an environment is kept, beyond the persona's list of hosts.
#[derive(Clone)]
pub struct Border {
    /// How much may pass.
    pub limits: Limits,
    /// Where names may lead.
    pub addresses: AddressPolicy,
    /// Whom the broker believes that it is a bound host.
    pub trust: Trust,
    /// Turns names into addresses.
    pub resolver: Arc<dyn Resolver>,
    /// Told what happens, from the broker's tasks: it must not block.
    pub observe: Arc<dyn Fn(Event) + Send + Sync>,
}

impl Border {
    /// The border for hosts of the public internet.
    #[must_use]
    pub fn standard(observe: Arc<dyn Fn(Event) + Send + Sync>) -> Self {
        Self {
            limits: Limits::STANDARD,
            addresses: AddressPolicy::PublicOnly,
            trust: Trust::Platform,
            resolver: Arc::new(SystemResolver),
            observe,
        }
    }
}

/// What the resolver of a container reads.
pub(super) const RESOLVER: &str = DEVICE.resolv_conf;

/// A broker, and what programs need to trust it.
pub(super) struct Way {
    pub(super) broker: Broker,
    /// The content of the file with authorities, when TLS ends in the broker.
    pub(super) authorities: Option<Vec<u8>>,
}

/// The device as the sandbox crate wants it.
pub(super) fn device() -> DeviceSettings {
    DeviceSettings {
        name: DEVICE.name.to_owned(),
        mtu: DEVICE.mtu,
        address: DEVICE.address,
        prefix_length: DEVICE.prefix_length,
        name_server: DEVICE.gateway,
    }
}

/// A network for the programs of one environment, with the descriptor of its device.
///
/// # Errors
/// When this machine has no such devices.
pub(super) fn space(launcher: &Launcher) -> Result<(NetworkSpace, OwnedFd), Error> {
    let failed = |source| Error::Sandbox { server: "the network".to_owned(), source };
    let space = launcher.network(&device()).map_err(failed)?;
    let taken = Error::Network("the network's device was taken already".to_owned());
    let device = space.take_device().ok_or(taken)?;
    Ok((space, device))
}

/// Starts the broker of an environment.
///
/// # Errors
/// When the persona's list of hosts is not understood, or the broker cannot start.
pub(super) fn open(persona: &Persona, secrets: &Secrets, border: &Border, device: OwnedFd) -> Result<Way, Error> {
    let failed = |error: masque_egress::Error| Error::Network(error.to_string());
    let bound: Vec<SecretRule> = secrets.bound.iter().map(rule).collect();
    let terminates = !bound.is_empty();
    let spec = BrokerSpec {
        rules: Rules::parse(&persona.sandbox.hosts).map_err(failed)?,
        secrets: bound,
        limits: border.limits,
        addresses: border.addresses,
        trust: border.trust.clone(),
        resolver: Arc::clone(&border.resolver),
        observe: Arc::clone(&border.observe),
    };
    let broker = Broker::start(device, spec).map_err(failed)?;
    let authorities = terminates.then(|| bundle(&broker.root_certificate()));
    Ok(Way { broker, authorities })
}

fn rule(bound: &Bound) -> SecretRule {
    let grant = &bound.held.grant;
    SecretRule {
        placeholder: bound.placeholder.clone(),
        value: bound.held.value.clone(),
        name: grant.name.clone(),
        hosts: grant.hosts.clone(),
    }
}

/// The authorities of this machine, and the broker's.
fn bundle(root: &str) -> Vec<u8> {
    let machine = AUTHORITIES.iter().find_map(|path| fs_err::read(path).ok()).unwrap_or_default();
    [machine.as_slice(), b"\n", root.as_bytes()].concat()
}

/// Where the file with authorities stands inside a sandbox.
pub(super) fn bundle_path_inside() -> PathBuf {
    Path::new(FILES_DIRECTORY).join(BUNDLE)
}

/// The variables that lead programs to the file with authorities.
pub(super) fn certificate_variables(file: &Path) -> BTreeMap<OsString, OsString> {
    CERTIFICATE_VARIABLES.iter().map(|name| (OsString::from(name), file.into())).collect()
}

/// The hosts of the persona's file, when it lists any: what tools inside Masque reach is confined to them as well.
///
/// # Errors
/// When the list is not understood.
pub fn listed(persona: &Persona) -> Result<Option<Rules>, Error> {
    if persona.sandbox.network || persona.sandbox.hosts.is_empty() {
        return Ok(None);
    }
    Rules::parse(&persona.sandbox.hosts).map(Some).map_err(|error| Error::Network(error.to_string()))
}

/// Whether an address leads to a listed host.
pub(crate) fn allows(rules: &Rules, url: &Url) -> bool {
    let port = url.port_or_known_default().unwrap_or(443);
    match url.host() {
        Some(Host::Domain(name)) => HostName::parse(name).is_ok_and(|name| rules.allows(&name, port)),
        Some(Host::Ipv4(address)) => rules.allows_address(address, port),
        Some(Host::Ipv6(_)) | None => false,
    }
}

/// The secrets with a host that the persona's list does not let programs reach: each with that host.
pub(super) fn unreachable(persona: &Persona, secrets: &Secrets) -> BTreeMap<String, String> {
    let Ok(rules) = Rules::parse(&persona.sandbox.hosts) else { return BTreeMap::new() };
    let reached = |host: &str| HostName::parse(host).is_ok_and(|name| rules.knows(&name));
    let grants = secrets.bound.iter().map(|bound| &bound.held.grant);
    grants
        .filter_map(|grant| Some((grant.name.clone(), grant.hosts.iter().find(|host| !reached(host))?.clone())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_inside_masque_reach_the_listed_hosts_only() {
        let persona = |hosts: &[&str], network| {
            let mut persona = Persona::new("p");
            persona.sandbox.hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
            persona.sandbox.network = network;
            persona
        };
        assert!(listed(&persona(&[], false)).unwrap().is_none());
        assert!(listed(&persona(&["a.org"], true)).unwrap().is_none());
        assert!(listed(&persona(&["a b"], false)).is_err());
        let rules = listed(&persona(&["a.org:443", "*.b.org:8443", "192.0.2.7:80"], false)).unwrap().unwrap();
        let allowed = |url: &str| allows(&rules, &Url::parse(url).unwrap());
        for yes in ["https://a.org/x", "https://A.ORG/", "https://c.b.org:8443/", "http://192.0.2.7/"] {
            assert!(allowed(yes), "{yes}");
        }
        for no in ["http://a.org/", "https://b.org:8443/", "https://a.org.evil/", "https://192.0.2.7/", "http://[::1]/"]
        {
            assert!(!allowed(no), "{no}");
        }
    }
}
