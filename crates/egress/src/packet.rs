//! What kind of packet a program sent, and the answer to a DNS datagram. Leaves out TCP itself.

use std::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::{
    phy::ChecksumCapabilities,
    wire::{IpProtocol, Ipv4Packet, Ipv4Repr, TcpPacket, UdpPacket, UdpRepr},
};

use crate::DEVICE;

/// The port of DNS, over datagrams and over connections.
pub(crate) const DNS_PORT: u16 = 53;

/// The two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ends {
    pub(crate) program: SocketAddrV4,
    pub(crate) host: SocketAddrV4,
}

/// A packet, as far as it matters who gets it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// Part of a connection.
    Segment {
        ends: Ends,
        /// It asks for a new connection.
        opens: bool,
        /// It breaks the connection.
        resets: bool,
    },
    /// A DNS query to the broker.
    Query { ends: Ends, payload: Vec<u8> },
    /// What the kernel sends by itself to look for neighbours.
    Noise,
    /// Anything else, described.
    Other(String),
}

/// Looks at a packet.
pub(crate) fn classify(bytes: &[u8]) -> Packet {
    if bytes.first().is_some_and(|byte| byte >> 4 == 6) {
        return classify_v6(bytes);
    }
    let Ok(ip) = Ipv4Packet::new_checked(bytes) else { return Packet::Other("a broken packet".to_owned()) };
    if ip.version() != 4 {
        return Packet::Other("a broken packet".to_owned());
    }
    if ip.more_frags() || ip.frag_offset() != 0 {
        return Packet::Other(format!("a fragment to {}", ip.dst_addr()));
    }
    match ip.next_header() {
        IpProtocol::Tcp => segment(&ip),
        IpProtocol::Udp => datagram(&ip),
        IpProtocol::Igmp => Packet::Noise,
        IpProtocol::Icmp => Packet::Other(format!("ICMP to {}", ip.dst_addr())),
        other => Packet::Other(format!("{other} to {}", ip.dst_addr())),
    }
}

/// Neighbour and router discovery go to groups; the device has no IPv6.
fn classify_v6(bytes: &[u8]) -> Packet {
    if bytes.get(24) == Some(&0xff) { Packet::Noise } else { Packet::Other("an IPv6 packet".to_owned()) }
}

fn segment(ip: &Ipv4Packet<&[u8]>) -> Packet {
    let Ok(tcp) = TcpPacket::new_checked(ip.payload()) else { return Packet::Other("a broken packet".to_owned()) };
    Packet::Segment {
        ends: ends(ip, tcp.src_port(), tcp.dst_port()),
        opens: tcp.syn() && !tcp.ack() && !tcp.rst(),
        resets: tcp.rst(),
    }
}

fn datagram(ip: &Ipv4Packet<&[u8]>) -> Packet {
    let Ok(udp) = UdpPacket::new_checked(ip.payload()) else { return Packet::Other("a broken packet".to_owned()) };
    let ends = ends(ip, udp.src_port(), udp.dst_port());
    if ends.host == SocketAddrV4::new(DEVICE.gateway, DNS_PORT) {
        return Packet::Query { ends, payload: udp.payload().to_vec() };
    }
    Packet::Other(format!("UDP to {}", ends.host))
}

fn ends(ip: &Ipv4Packet<&[u8]>, program: u16, host: u16) -> Ends {
    Ends { program: SocketAddrV4::new(ip.src_addr(), program), host: SocketAddrV4::new(ip.dst_addr(), host) }
}

/// The packet that carries the answer to a query back.
pub(crate) fn answer(ends: &Ends, payload: &[u8]) -> Vec<u8> {
    let (from, to): (Ipv4Addr, Ipv4Addr) = (*ends.host.ip(), *ends.program.ip());
    let udp = UdpRepr { src_port: ends.host.port(), dst_port: ends.program.port() };
    let ip = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Udp,
        payload_len: udp.header_len() + payload.len(),
        hop_limit: 64,
    };
    let checksums = ChecksumCapabilities::default();
    let mut bytes = vec![0; ip.buffer_len() + ip.payload_len];
    let mut packet = Ipv4Packet::new_unchecked(&mut bytes[..]);
    ip.emit(&mut packet, &checksums);
    let mut datagram = UdpPacket::new_unchecked(packet.payload_mut());
    let fill = |place: &mut [u8]| place.copy_from_slice(payload);
    udp.emit(&mut datagram, &from.into(), &to.into(), payload.len(), fill, &checksums);
    bytes
}
