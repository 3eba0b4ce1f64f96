//! Which hosts and ports may be reached: parsing of the rules and the one decision about them.
//!
//! Leaves out who may write rules, and the checks on what a name resolves to.

use std::net::Ipv4Addr;

use crate::{Error, HostName};

/// A list of hosts with ports. What is not listed is refused; the order does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    host: HostPattern,
    port: PortPattern,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Exact(HostName),
    /// One label, then this name.
    OneLabelUnder(HostName),
    Address(Ipv4Addr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PortPattern {
    Only(u16),
    Any,
}

/// Where a program wants to go: a name that the broker gave an address, or an address that the program knew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Name(HostName),
    Address(Ipv4Addr),
}

impl Host {
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Name(name) => name.to_string(),
            Self::Address(address) => address.to_string(),
        }
    }
}

impl Rules {
    /// Reads rules: `zenodo.org:8443`, `zenodo.org` (port 443), `zenodo.org:*` (any port), `*.example.org:443` (exactly
    /// one label before the name), `192.0.2.7:5432` (this very IPv4 address).
    ///
    /// # Errors
    /// [`Error::Rule`] for the first rule that is anything else.
    pub fn parse<T: AsRef<str>>(rules: &[T]) -> Result<Self, Error> {
        let parse = |text: &T| {
            let text = text.as_ref();
            parse_rule(text).map_err(|problem| Error::Rule { rule: text.escape_debug().to_string(), problem })
        };
        Ok(Self { rules: rules.iter().map(parse).collect::<Result<_, _>>()? })
    }

    /// Whether nothing at all is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether this port of the host with this name may be reached.
    #[must_use]
    pub fn allows(&self, name: &HostName, port: u16) -> bool {
        self.rules.iter().any(|rule| rule.host.matches(name) && rule.port.matches(port))
    }

    /// Whether the name may be looked up: some port of it may be reached.
    #[must_use]
    pub fn knows(&self, name: &HostName) -> bool {
        self.rules.iter().any(|rule| rule.host.matches(name))
    }

    /// Whether this port of an address that is listed as an address may be reached.
    #[must_use]
    pub fn allows_address(&self, address: Ipv4Addr, port: u16) -> bool {
        self.rules.iter().any(|rule| rule.host == HostPattern::Address(address) && rule.port.matches(port))
    }

    pub(crate) fn allow(&self, host: &Host, port: u16) -> bool {
        match host {
            Host::Name(name) => self.allows(name, port),
            Host::Address(address) => self.allows_address(*address, port),
        }
    }
}

impl HostPattern {
    fn matches(&self, name: &HostName) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::OneLabelUnder(parent) => {
                name.as_str().split_once('.').is_some_and(|(_, rest)| rest == parent.as_str())
            }
            Self::Address(_) => false,
        }
    }
}

impl PortPattern {
    fn matches(self, port: u16) -> bool {
        match self {
            Self::Only(only) => only == port,
            Self::Any => true,
        }
    }
}

fn parse_rule(text: &str) -> Result<Rule, String> {
    if text.contains("://") || text.contains(['/', '@']) {
        return Err("write only the host and the port, such as `zenodo.org:443`".to_owned());
    }
    if text.starts_with('[') || text.matches(':').count() > 1 {
        return Err("IPv6 addresses cannot be listed: list the host's name".to_owned());
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, parse_port(port)?),
        None => (text, PortPattern::Only(443)),
    };
    Ok(Rule { host: parse_host(host)?, port })
}

fn parse_port(text: &str) -> Result<PortPattern, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        _ if text == "*" => Ok(PortPattern::Any),
        Ok(port) if digits && port > 0 => Ok(PortPattern::Only(port)),
        _ => Err("the port must be a number from 1 to 65535, or `*`".to_owned()),
    }
}

fn parse_host(text: &str) -> Result<HostPattern, String> {
    if let Ok(address) = text.parse() {
        return Ok(HostPattern::Address(address));
    }
    let problem = |error: crate::NameError| format!("the host is not understood: {error}");
    let Some(parent) = text.strip_prefix("*.") else {
        return HostName::parse(text).map(HostPattern::Exact).map_err(problem);
    };
    let parent = HostName::parse(parent).map_err(problem)?;
    if !parent.as_str().contains('.') {
        return Err("`*.` needs a name with at least two parts behind it, such as `*.example.org`".to_owned());
    }
    Ok(HostPattern::OneLabelUnder(parent))
}
