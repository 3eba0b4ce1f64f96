//! The TCP ports that somebody listens at, from the kernel in two answers: `sock_diag(7)`.
//!
//! Reading `/proc/net/tcp` instead would list every connection of the machine.

use std::{collections::BTreeSet, io, os::fd::OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// The state `TCP_LISTEN` as a bit.
const LISTEN: u32 = 1 << 10;
/// `AF_INET` and `AF_INET6`.
const FAMILIES: [u8; 2] = [2, 10];
/// Bytes of `struct nlmsghdr`, and of it with `struct inet_diag_req_v2`.
const HEADER: usize = 16;
const REQUEST: usize = HEADER + 56;
/// Where the port stands in a message: after the header and four bytes of `struct inet_diag_msg`, in network order.
const PORT: usize = HEADER + 4;
/// Room for one answer: the kernel fills at most this much of a larger list at once.
const ANSWER: usize = 32 << 10;

/// A socket on which the kernel is asked.
#[derive(Debug)]
pub(super) struct Diagnosis(OwnedFd);

impl Diagnosis {
    pub(super) fn open() -> io::Result<Self> {
        let protocol = Some(netlink::SOCK_DIAG);
        Ok(Self(socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?))
    }

    /// The ports that somebody listens at, at any address, in the supervisor's network.
    pub(super) fn listening(&self) -> io::Result<BTreeSet<u16>> {
        let mut ports = BTreeSet::new();
        for family in FAMILIES {
            send(&self.0, &request(family), SendFlags::empty())?;
            let mut answer = vec![0; ANSWER];
            loop {
                let (bytes, _) = recv(&self.0, answer.as_mut_slice(), RecvFlags::empty())?;
                if take(answer.get(..bytes).unwrap_or_default(), &mut ports)? {
                    break;
                }
            }
        }
        Ok(ports)
    }
}

fn request(family: u8) -> [u8; REQUEST] {
    let mut bytes = [0; REQUEST];
    let mut put = |at: usize, part: &[u8]| {
        for (byte, value) in bytes.iter_mut().skip(at).zip(part) {
            *byte = *value;
        }
    };
    put(0, &72_u32.to_ne_bytes());
    put(4, &BY_FAMILY.to_ne_bytes());
    put(6, &DUMP.to_ne_bytes());
    put(HEADER, &[family, TCP]);
    put(HEADER + 4, &LISTEN.to_ne_bytes());
    bytes
}

/// Takes the ports out of one answer; whether it is the last one.
fn take(mut answer: &[u8], ports: &mut BTreeSet<u16>) -> io::Result<bool> {
    while let Some((length, kind)) = header(answer) {
        match kind {
            DONE => return Ok(true),
            ERROR => {
                let code = answer.get(HEADER..HEADER + 4).and_then(|code| code.try_into().ok()).map(i32::from_ne_bytes);
                return Err(io::Error::from_raw_os_error(-code.unwrap_or(0)));
            }
            _ => ports.extend(answer.get(PORT..PORT + 2).and_then(|port| port.try_into().ok()).map(u16::from_be_bytes)),
        }
        answer = answer.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// Length and kind of the first message.
fn header(answer: &[u8]) -> Option<(usize, u16)> {
    let length = u32::from_ne_bytes(answer.get(..4)?.try_into().ok()?);
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    usize::try_from(length).ok().filter(|length| *length >= HEADER).map(|length| (length, kind))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::Diagnosis;

    #[test]
    fn listening_ports_are_seen_as_long_as_somebody_listens() {
        let diagnosis = Diagnosis::open().unwrap();
        let listeners = ["127.0.0.1:0", "0.0.0.0:0"].map(|address| TcpListener::bind(address).unwrap());
        let ports = listeners.each_ref().map(|listener| listener.local_addr().unwrap().port());
        let seen = diagnosis.listening().unwrap();
        assert!(ports.iter().all(|port| seen.contains(port)), "{ports:?} in {seen:?}");
        drop(listeners);
        let seen = diagnosis.listening().unwrap();
        assert!(!ports.iter().all(|port| seen.contains(port)), "{ports:?} in {seen:?}");
    }
}
