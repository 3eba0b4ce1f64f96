//! Ports, addresses, and whether hosts can reach each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::{Report, Rule, Scene};
use crate::model::{Fallback, Host, Service};

pub(super) fn check(scene: &Scene<'_>, report: &mut Report) {
    clashes(scene, report);
    for service in scene.services_here() {
        taken(scene, service, report);
        bindable(scene, service, report);
    }
    everywhere(scene, report);
    crossings(scene, report);
    links(scene, report);
}

/// The ports that a service opens, each with the name it is declared by.
pub(super) fn ports(service: &Service) -> BTreeMap<u16, String> {
    let named = service.ports.iter().map(|(name, port)| (*port, format!("port `{name}`")));
    named.chain(service.port.map(|port| (port, "port".to_owned()))).collect()
}

/// The address that a service listens on; none when it is a name that has to be looked up. Without a word about it, it
/// may be every address.
pub(super) fn listens_on(service: &Service) -> Option<IpAddr> {
    match service.listen.as_deref() {
        None | Some("" | "*" | "::") => Some(Ipv4Addr::UNSPECIFIED.into()),
        Some("localhost") => Some(Ipv4Addr::LOCALHOST.into()),
        Some(address) => address.trim_matches(['[', ']']).parse().ok(),
    }
}

fn overlap(one: IpAddr, other: IpAddr) -> bool {
    one == other || one.is_unspecified() || other.is_unspecified()
}

fn clashes(scene: &Scene<'_>, report: &mut Report) {
    let mut users: BTreeMap<(&str, u16), Vec<&Service>> = BTreeMap::new();
    for service in &scene.fleet.services {
        for port in ports(service).keys() {
            users.entry((&service.id.host, *port)).or_default().push(service);
        }
    }
    for ((_, port), services) in users {
        for (place, service) in services.iter().enumerate() {
            let clash = |other: &&&Service| {
                let addresses = listens_on(service).zip(listens_on(other));
                addresses.is_none_or(|(one, other)| overlap(one, other)) && !replaces(service, other)
            };
            let Some(other) = services.iter().take(place).find(clash) else { continue };
            let shown = |service: &Service| service.listen.clone().unwrap_or_else(|| "every address".to_owned());
            let message =
                format!("its port {port} on {} is that of `{}` on {}", shown(service), other.id, shown(other));
            report.error(Rule::PortClash, Some(&service.id), message, "give one of them another port");
        }
    }
}

/// Whether one of them stands in for the other one, so that they may share a port.
fn replaces(one: &Service, other: &Service) -> bool {
    let names = |service: &Service, other: &Service| {
        service.fallback.iter().any(|fallback| matches!(fallback, Fallback::Service(id) if *id == other.id))
    };
    names(one, other) || names(other, one)
}

fn taken(scene: &Scene<'_>, service: &Service, report: &mut Report) {
    if scene.world.host.is_none() {
        return;
    }
    for (port, name) in ports(service) {
        let own = listens_on(service).unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let foreign = |listener: &&super::Listener| {
            listener.port == port && !listener.is_of_fleet && overlap(own, listener.address)
        };
        if let Some(listener) = scene.world.listeners.iter().find(foreign) {
            let who = listener.owner.as_deref().unwrap_or("another program");
            let message = format!("its {name} {port} is taken on this machine by {who}");
            report.error(Rule::PortTaken, Some(&service.id), message, "end that program, or choose another port");
        }
        let free = scene.world.first_unprivileged_port;
        if port < free && !scene.world.may_bind_low_ports(service) {
            let message = format!("its {name} {port} is below {free}, and it does not run as root");
            report.warning(Rule::PrivilegedPort, Some(&service.id), message, "choose another port, or run it as root");
        }
    }
}

fn bindable(scene: &Scene<'_>, service: &Service, report: &mut Report) {
    let Some(listen) = &service.listen else { return };
    let Some(address) = listens_on(service) else {
        let named = listen.chars().all(|letter| letter.is_ascii_alphanumeric() || ".-_".contains(letter));
        if !named || listen.contains("..") {
            let hint = "give an IP address, a host name or `localhost`";
            report.error(Rule::Address, Some(&service.id), format!("`{listen}` is no address to listen on"), hint);
        }
        return;
    };
    let Some(own) = &scene.world.addresses else { return };
    if scene.world.host.is_some() && !address.is_unspecified() && !address.is_loopback() && !own.contains(&address) {
        let message = format!("listens on {address}, which this machine does not have");
        report.error(Rule::Address, Some(&service.id), message, "use an address of this machine, or 0.0.0.0");
    }
}

/// Services that are open to the whole network although only this host needs them: told once for each host.
fn everywhere(scene: &Scene<'_>, report: &mut Report) {
    let open = |service: &&Service| {
        let wide = service.listen.is_some() && listens_on(service).is_some_and(|address| address.is_unspecified());
        let own = |edge: &crate::graph::Edge| edge.from.host == service.id.host;
        wide && service.port.is_some() && scene.graph.needed_by(&service.id).all(own)
    };
    let mut hosts: BTreeMap<&str, usize> = BTreeMap::new();
    for service in scene.fleet.services.iter().filter(open) {
        *hosts.entry(&service.id.host).or_default() += 1;
    }
    for (host, count) in hosts {
        let message =
            format!("{count} services of host `{host}` listen on every address although no other host needs them");
        let hint = "set `listen = \"127.0.0.1\"` in the defaults unless clients outside of the fleet use them";
        report.warning(Rule::Address, None, message, hint);
    }
}

/// Needs that cross hosts: the needed service must listen to others, the hosts must know how to reach each other.
fn crossings(scene: &Scene<'_>, report: &mut Report) {
    let mut hosts: BTreeSet<&str> = BTreeSet::new();
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut told = BTreeSet::new();
    for edge in scene.graph.edges().iter().filter(|edge| edge.from.host != edge.to.host) {
        hosts.extend([edge.from.host.as_str(), edge.to.host.as_str()]);
        let Some(service) = scene.roster.service(&edge.to) else { continue };
        if service.port.is_some() {
            reached.insert(&edge.to.host);
        }
        if listens_on(service).is_some_and(|address| address.is_loopback()) && told.insert(&edge.to) {
            let message = format!("listens on this machine only, and `{}` of another host needs it", edge.from);
            report.error(Rule::Address, Some(&edge.to), message, "listen on the host's address, or on 0.0.0.0");
        }
    }
    for name in hosts {
        let Some(host) = scene.fleet.hosts.get(name) else { continue };
        let mut lacks = Vec::new();
        if host.address.is_none() && reached.contains(name) {
            lacks.push("address");
        }
        if host.link.is_none() {
            lacks.push("link");
        }
        if host.key.is_none() {
            lacks.push("key");
        }
        if !lacks.is_empty() {
            let message =
                format!("services need each other across hosts, and host `{name}` has no {}", lacks.join(", no "));
            let hint = format!("set them under [hosts.{name}]; `masque fleet key show` on that host prints its key");
            report.error(Rule::UnreachableHost, None, message, hint);
        }
        own_addresses(name, host, report);
    }
}

fn own_addresses(name: &str, host: &Host, report: &mut Report) {
    let address = host.address.as_deref().and_then(|address| address.parse::<IpAddr>().ok());
    if address.is_some_and(|address| address.is_loopback() || address.is_unspecified()) {
        let message =
            format!("other hosts cannot reach host `{name}` at {}", host.address.as_deref().unwrap_or_default());
        report.error(Rule::Address, None, message, "give its address in the network that the hosts share");
    }
    let well_formed = |key: &str| {
        let digits = key.strip_prefix("ed25519:").unwrap_or_default();
        digits.len() == 64 && digits.chars().all(|digit| digit.is_ascii_hexdigit())
    };
    if let Some(key) = host.key.as_deref().filter(|key| !well_formed(key)) {
        let message = format!("the key of host `{name}` is `{key}`, expected `ed25519:` and 64 hexadecimal digits");
        report.error(Rule::UnreachableHost, None, message, "copy what `masque fleet key show` prints there");
    }
}

/// Links of hosts: well-formed, and no two the same.
fn links(scene: &Scene<'_>, report: &mut Report) {
    let (mut links, mut keys) = (BTreeMap::new(), BTreeMap::new());
    for (name, host) in &scene.fleet.hosts {
        if let Some(link) = &host.link {
            let port = link.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).filter(|port| *port > 0);
            if port.is_none() {
                let message = format!("the link of host `{name}` is `{link}`, expected ADDRESS:PORT");
                report.error(Rule::UnreachableHost, None, message, "write it like `192.0.2.1:7400`");
            }
            if let Some(port) = port {
                link_port(scene, name, link, port, report);
            }
            if let Some(other) = links.insert(link, name) {
                let message = format!("hosts `{other}` and `{name}` have the same link {link}");
                report.error(Rule::UnreachableHost, None, message, "give each host its own address");
            }
        }
        if let Some(key) = &host.key
            && let Some(other) = keys.insert(key, name)
        {
            let message = format!("hosts `{other}` and `{name}` have the same key");
            report.error(Rule::UnreachableHost, None, message, "make a key on each host with `masque fleet key new`");
        }
    }
}

fn link_port(scene: &Scene<'_>, name: &str, link: &str, port: u16, report: &mut Report) {
    let own = link.parse().map_or(IpAddr::from(Ipv6Addr::UNSPECIFIED), |address: SocketAddr| address.ip());
    let clash = |service: &&Service| {
        ports(service).contains_key(&port) && listens_on(service).is_none_or(|address| overlap(own, address))
    };
    if let Some(service) = scene.fleet.services_of(name).find(clash) {
        let message = format!("its port {port} is that of the link of host `{name}`");
        report.error(Rule::PortClash, Some(&service.id), message, "give one of them another port");
    }
}
