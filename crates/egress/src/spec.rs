//! What a broker is told when it starts: rules, secrets, limits, trust, and whom it tells what happened.

use std::{fmt, sync::Arc};

use masque_types::secret::Secret;
use rustls::pki_types::CertificateDer;

use crate::{Event, Resolver, Rules};

/// A secret whose value programs never see: they have the placeholder, and the broker puts the value into the headers of
/// requests to the bound hosts.
#[derive(Debug, Clone)]
pub struct SecretRule {
    /// What programs see: at least 16 visible ASCII letters, different for every secret and run.
    pub placeholder: String,
    /// What the bound hosts see.
    pub value: Secret,
    /// How the audit log calls it.
    pub name: String,
    /// The bound hosts, written as in [`Rules::parse`]; addresses are not taken. TLS to them ends in the broker.
    pub hosts: Vec<String>,
}

/// How much a sandbox may do at its border.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Bytes to hosts in any minute, over all connections. More breaks the connection that sends them.
    pub bytes_out_per_minute: u64,
    /// DNS queries in any minute. More are refused.
    pub dns_queries_per_minute: u32,
}

impl Limits {
    /// For programs that nobody said anything special about: 128 connections, 4 GiB out and 1,000 DNS queries a minute.
    pub const STANDARD: Self = Self { connections: 128, bytes_out_per_minute: 4 << 30, dns_queries_per_minute: 1_000 };
}

/// Which addresses names may lead to. An address that is itself listed in the rules may be reached under both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressPolicy {
    /// Public ones: neither this machine nor its network nor its cloud.
    PublicOnly,
    /// Any: for tests, and for hosts of one's own network.
    AllowPrivate,
}

/// Which certificates the real hosts must have.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Those that this machine trusts.
    Platform,
    /// Those that these authorities signed.
    Roots(Vec<CertificateDer<'static>>),
}

/// Everything that a broker needs to know.
#[derive(Clone)]
pub struct BrokerSpec {
    /// What may be reached.
    pub rules: Rules,
    /// What is put into requests.
    pub secrets: Vec<SecretRule>,
    /// How much.
    pub limits: Limits,
    /// Where names may lead.
    pub addresses: AddressPolicy,
    /// Whom the broker believes that it is a bound host.
    pub trust: Trust,
    /// Turns names into addresses, once for each connection.
    pub resolver: Arc<dyn Resolver>,
    /// Told what happens, from the broker's tasks: it must not block.
    pub observe: Arc<dyn Fn(Event) + Send + Sync>,
}

impl fmt::Debug for BrokerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerSpec")
            .field("rules", &self.rules)
            .field("secrets", &self.secrets)
            .field("limits", &self.limits)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}
