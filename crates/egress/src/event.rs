//! What a broker tells about the connections of its programs, for the audit log. No secret values.

use std::{fmt, net::SocketAddr};

use crate::NameError;

/// Something that happened at the border of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A program reached a host.
    Connected {
        /// The host as the rules name it.
        host: String,
        /// Its port.
        port: u16,
        /// Which of its addresses answered.
        address: SocketAddr,
    },
    /// A program's connection to a host ended.
    Closed {
        /// The host.
        host: String,
        /// Its port.
        port: u16,
        /// Bytes from the program to the host.
        sent: u64,
        /// Bytes from the host to the program.
        received: u64,
    },
    /// A program tried what it may not, or what cannot be done. At most 200 a minute are told;
    /// [`crate::Counters`] have all.
    Refused {
        /// What it tried: `name:port`, an address, or a kind of packet.
        what: String,
        /// Why not.
        why: Refusal,
    },
    /// A placeholder was replaced in a request's headers. Told once for each request.
    SecretUsed {
        /// The secret's name.
        name: String,
        /// The host that got the value.
        host: String,
    },
    /// A host sent a secret's value back; the program saw its placeholder.
    SecretScrubbed {
        /// The host.
        host: String,
    },
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// Connections at once.
    Connections,
    /// Bytes out per minute.
    BytesOut,
    /// DNS queries per minute.
    DnsQueries,
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No rule lists the host with this port.
    #[error("no rule lists it")]
    NotListed,
    /// Only TCP leaves a sandbox.
    #[error("only TCP connections leave a sandbox")]
    Protocol,
    /// The name is not a plain host name.
    #[error("not a host name: {0}")]
    Name(NameError),
    /// A DNS message that is no plain query.
    #[error("not a plain DNS query")]
    Query,
    /// A limit was reached.
    #[error("too many {0}")]
    Quota(Quota),
    /// The name leads to this machine, its network or its cloud.
    #[error("{address} is {class}")]
    AddressClass {
        /// What the name resolved to.
        address: SocketAddr,
        /// What kind of address that is.
        class: &'static str,
    },
    /// The name has no address, or nothing answers there.
    #[error("not reachable: {0}")]
    Unreachable(String),
    /// A connection for one name asked for another.
    #[error("it asks for `{asked}`")]
    OtherName {
        /// The name in the TLS greeting or the Host header.
        asked: String,
    },
    /// A TLS greeting without a name.
    #[error("the TLS greeting names no host")]
    NoName,
    /// TLS is expected, and something else came, or the handshake failed.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// HTTP is expected, and something else came.
    #[error("not acceptable as HTTP/1.1: {0}")]
    Http(String),
    /// A placeholder went where its value may not go.
    #[error("the placeholder of secret `{name}` may not go there: {place}")]
    Placeholder {
        /// The secret's name.
        name: String,
        /// Where the placeholder stood.
        place: &'static str,
    },
    /// The host answered in an encoding in which its secrets cannot be found.
    #[error("the answer is encoded, so that secrets cannot be found in it")]
    Encoded,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connections => "connections at once",
            Self::BytesOut => "bytes out in a minute",
            Self::DnsQueries => "DNS queries in a minute",
        })
    }
}
