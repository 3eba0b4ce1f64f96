//! [`Container`]: how a group becomes a container; [`Published`], [`Network`], [`Shared`]: what it has of its machine.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

/// How an image is built by a file that a person wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// The directory that is sent; absolute.
    pub context: PathBuf,
    /// The file, from that directory on; `Dockerfile` or `Containerfile` when absent.
    pub file: Option<PathBuf>,
}

/// How a group becomes a container with a supervisor inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Container {
    /// Name of the image; made from the group's name when absent.
    pub image: Option<String>,
    /// Image that it is built from.
    pub base: Option<String>,
    /// Directory with the file that the image is built by, where a person wrote one.
    pub build: Option<Build>,
    /// What replaces the entry point of the image.
    pub entrypoint: Option<Vec<String>>,
    /// Ports that the machine passes on, each once.
    pub publish: Vec<Published>,
    /// Debian packages to install.
    pub packages: Vec<String>,
    /// Python requirements file, relative to the fleet's directory.
    pub requirements: Option<PathBuf>,
    /// Files and directories that are copied in: from the fleet's directory, to the image.
    pub copy: BTreeMap<PathBuf, PathBuf>,
    /// Symbolic links made in the image: link, target.
    pub links: BTreeMap<PathBuf, PathBuf>,
    /// Volumes as `SOURCE:TARGET[:OPTIONS]`, or `TARGET` alone: `/srv/logs:/app/logs`, `data:/app/data:ro,Z`. A source with
    /// a `/` is a path of the machine; every other one is a volume, about which the fleet may say more.
    pub volumes: Vec<String>,
    /// Network that it joins; one of the host when absent.
    pub network: Option<Network>,
    /// Further names by which others in that network find it.
    pub aliases: Vec<String>,
    /// Address in that network.
    pub address: Option<String>,
    /// Devices of the machine: `/dev/nvidia0`, `nvidia.com/gpu=all`.
    pub devices: Vec<String>,
}

/// A network that containers join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Network {
    /// The machine's own, without one in between. Written `host`.
    Host,
    /// The one of that name, about which the fleet may say more.
    Named(String),
}

impl Network {
    /// Its name, where it is not the machine's own.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Host => None,
            Self::Named(name) => Some(name),
        }
    }
}

impl From<String> for Network {
    fn from(text: String) -> Self {
        if text == "host" { Self::Host } else { Self::Named(text) }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.name().unwrap_or("host").to_owned()
    }
}

/// A volume or a network that is not called after its fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// What the engine calls it.
    pub name: String,
    /// Whether somebody else makes it: it must be there before the fleet starts, and stays when the fleet goes.
    pub external: bool,
}

/// By what a port is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Its name: `tcp`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// A port of a container that the machine passes on. Written `[[ADDRESS:][PORT[-PORT]]:]PORT[/PROTOCOL]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Published {
    /// Address of the machine, without brackets; every one of it when absent.
    pub address: Option<String>,
    /// First and last port of the machine of which one is taken, mostly the same; the engine takes any that is free when
    /// absent.
    pub machine: Option<(u16, u16)>,
    /// The port inside.
    pub container: u16,
    /// By what it is reached.
    pub protocol: Protocol,
}

impl Published {
    /// A port that is the same inside and outside.
    #[must_use]
    pub const fn same(port: u16) -> Self {
        Self { address: None, machine: Some((port, port)), container: port, protocol: Protocol::Tcp }
    }

    /// The port of the machine, where it is known before the start.
    #[must_use]
    pub fn machine_port(&self) -> Option<u16> {
        self.machine.filter(|(first, last)| first == last).map(|(first, _)| first)
    }

    /// The ports of a text as Docker and Podman understand it: a range is one for each. Nothing where it says none.
    #[must_use]
    pub fn all(text: &str) -> Option<Vec<Self>> {
        let (numbers, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].into_iter().find(|one| one.name() == protocol)?;
        let (outside, inside) = match numbers.rsplit_once(':') {
            Some((outside, inside)) => (Some(outside), inside),
            None => (None, numbers),
        };
        let (address, machine) = match outside.map(|outside| outside.rsplit_once(':').ok_or(outside)) {
            Some(Ok((address, machine))) => (Some(bare(address)?), Some(machine)),
            Some(Err(machine)) => (None, Some(machine)),
            None => (None, None),
        };
        let inside = ports(inside)?;
        let machine = machine.filter(|text| !text.is_empty()).map(ports);
        let machine = match machine {
            Some(ports) => Some(ports?),
            None => None,
        };
        let several = inside.start() != inside.end();
        if several && machine.as_ref().is_some_and(|machine| machine.len() != inside.len()) {
            return None;
        }
        let outside = |number: usize| {
            let (first, last) = machine.as_ref().map(|machine| (*machine.start(), *machine.end()))?;
            let shift = u16::try_from(number).ok()?;
            Some(if several { (first + shift, first + shift) } else { (first, last) })
        };
        let one =
            |(number, container)| Self { address: address.clone(), machine: outside(number), container, protocol };
        Some(inside.enumerate().map(one).collect())
    }
}

/// An address without brackets; nothing where there is none, or one that would be read as something else.
fn bare(text: &str) -> Option<String> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    (!inner.is_empty() && !inner.contains(['[', ']', '/'])).then(|| inner.to_owned())
}

/// A port, or the first and the last of several.
fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (0 < first && first <= last && last - first < 1000).then_some(first..=last)
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Some(address) if address.contains(':') => write!(f, "[{address}]:")?,
            Some(address) => write!(f, "{address}:")?,
            None => {}
        }
        match self.machine {
            Some((first, last)) if first == last => write!(f, "{first}:")?,
            Some((first, last)) => write!(f, "{first}-{last}:")?,
            None if self.address.is_some() => f.write_str(":")?,
            None => {}
        }
        write!(f, "{}", self.container)?;
        if self.protocol == Protocol::Tcp { Ok(()) } else { write!(f, "/{}", self.protocol.name()) }
    }
}

impl FromStr for Published {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is no published port: expected [[ADDRESS:][PORT]:]PORT[/PROTOCOL]");
        let all = Self::all(text).ok_or_else(expected)?;
        <[Self; 1]>::try_from(all).map(|[one]| one).map_err(|_| expected())
    }
}

impl TryFrom<String> for Published {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Published> for String {
    fn from(published: Published) -> Self {
        published.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Option<Vec<String>> {
        Published::all(text).map(|ports| ports.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn ports_are_read_as_engines_do() {
        for text in ["80", "8080:80", "127.0.0.1:53:53/udp", "127.0.0.1::80", "[::1]:1:2", "8000-8010:80", "1:2/sctp"] {
            assert_eq!(check(text).as_deref(), Some([text.to_owned()].as_slice()));
        }
        assert_eq!(check("5-6:15-16/tcp").unwrap_or_default(), ["5:15", "6:16"]);
        assert_eq!(check("127.0.0.1::7-8").unwrap_or_default(), ["127.0.0.1::7", "127.0.0.1::8"]);
        assert_eq!(check(":80").unwrap_or_default(), ["80"]);
        for text in ["", "0:80", "80:x", "1:2-3", "2-1", "80/http", "70000:80", "1-3:1-2"] {
            assert_eq!(check(text), None, "{text}");
        }
    }
}
