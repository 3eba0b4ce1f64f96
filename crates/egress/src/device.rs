//! How the sandbox has to set up the network device whose other end the broker holds.

use std::net::Ipv4Addr;

/// The settings of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceSettings {
    /// The interface's name.
    pub name: &'static str,
    /// Flags for `TUNSETIFF`: `IFF_TUN | IFF_NO_PI`.
    pub tun_flags: u16,
    /// Bytes in a packet at most. Large: nothing but a copy lies between the program and the broker.
    pub mtu: u32,
    /// The programs' address.
    pub address: Ipv4Addr,
    /// Length of the network's prefix.
    pub prefix_length: u8,
    /// The broker's address: gateway of the default route, and the DNS server.
    pub gateway: Ipv4Addr,
    /// What `/etc/resolv.conf` must say.
    pub resolv_conf: &'static str,
}

/// The one way in which the device is set up: an address, the interface up, and a default route to the gateway. The
/// addresses are of the range for measuring networks (RFC 2544), so that none of a real network is hidden by them.
pub const DEVICE: DeviceSettings = DeviceSettings {
    name: "masque0",
    tun_flags: 0x1001,
    mtu: 65_520,
    address: Ipv4Addr::new(198, 18, 0, 2),
    prefix_length: 15,
    gateway: Ipv4Addr::new(198, 18, 0, 1),
    resolv_conf: "nameserver 198.18.0.1\n",
};

/// The environment variables by which programs find the authorities that they trust. The file that they name needs the
/// machine's authorities and [`crate::Broker::root_certificate`]: most programs take it instead of their own list.
pub const CERTIFICATE_VARIABLES: [&str; 10] = [
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "PIP_CERT",
    "NIX_SSL_CERT_FILE",
    "AWS_CA_BUNDLE",
    "DENO_CERT",
];
