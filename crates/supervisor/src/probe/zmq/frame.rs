//! Frames of ZMTP 3.0 (<https://rfc.zeromq.org/spec/23/>) with the NULL mechanism. Pure.

/// Bytes of a greeting.
pub(super) const GREETING: usize = 64;
/// Bytes of all parts of a reply together, at most.
pub(super) const LARGEST_REPLY: u64 = 1 << 20;
/// Bytes of a command, at most.
pub(super) const LARGEST_COMMAND: u64 = 64 << 10;

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// Where the version stands in a greeting.
const VERSION: usize = 10;
/// Where the mechanism stands in a greeting.
const MECHANISM: std::ops::Range<usize> = 12..32;

/// The flags of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flags {
    /// Whether another frame of the same message follows.
    pub(super) more: bool,
    /// Whether its size has eight bytes.
    pub(super) long: bool,
    /// Whether it is a command.
    pub(super) command: bool,
}

impl Flags {
    pub(super) fn read(byte: u8) -> Result<Self, String> {
        let flags = Self { more: byte & MORE != 0, long: byte & LONG != 0, command: byte & COMMAND != 0 };
        if byte & !(MORE | LONG | COMMAND) != 0 || flags.command && flags.more {
            return Err(format!("sent a frame with the flags {byte:#04x}, which ZMTP 3 does not have"));
        }
        Ok(flags)
    }
}

/// What a client says first: version 3.0, the NULL mechanism.
pub(super) fn greeting() -> Vec<u8> {
    let mut greeting = vec![0; GREETING];
    let fields: [(usize, &[u8]); 4] = [(0, &[0xff]), (9, &[0x7f]), (VERSION, &[3, 0]), (MECHANISM.start, b"NULL")];
    for (at, bytes) in fields {
        for (place, byte) in greeting.iter_mut().skip(at).zip(bytes) {
            *place = *byte;
        }
    }
    greeting
}

/// What is wrong with a server's greeting.
pub(super) fn check_greeting(greeting: &[u8; GREETING]) -> Result<(), String> {
    let [first, .., _] = greeting;
    if *first != 0xff || greeting.get(9) != Some(&0x7f) {
        return Err("does not speak ZeroMQ".to_owned());
    }
    let version = greeting.get(VERSION).copied().unwrap_or_default();
    if version < 3 {
        return Err(format!("speaks ZMTP {version}: expected 3.0 or later, as of ZeroMQ 4"));
    }
    let mechanism = greeting.get(MECHANISM).unwrap_or_default();
    let mechanism = mechanism.split(|byte| *byte == 0).next().unwrap_or_default();
    if mechanism != b"NULL" {
        return Err(format!("asks for the mechanism {}: expected NULL", String::from_utf8_lossy(mechanism)));
    }
    Ok(())
}

/// The command by which a REQ socket says that it is ready.
pub(super) fn ready() -> Vec<u8> {
    let mut body = b"\x05READY".to_vec();
    for (name, value) in [("Socket-Type", "REQ"), ("Identity", "")] {
        body.push(name.len() as u8);
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&(value.len() as u32).to_be_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    frame(COMMAND, &body)
}

/// A request as a REQ socket sends it: an empty frame and the body.
pub(super) fn request(body: &[u8]) -> Vec<u8> {
    let mut frames = frame(MORE, &[]);
    frames.extend(frame(0, body));
    frames
}

fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = match u8::try_from(body.len()) {
        Ok(short) => vec![flags, short],
        Err(_) => {
            let mut head = vec![flags | LONG];
            head.extend_from_slice(&(body.len() as u64).to_be_bytes());
            head
        }
    };
    frame.extend_from_slice(body);
    frame
}

/// A command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// The server is ready, with a socket of this type.
    Ready(&'a [u8]),
    /// The server refuses.
    Error(&'a [u8]),
    /// The server wants to know whether the client is there: the answer.
    Ping(Vec<u8>),
    /// Another one, which is ignored.
    Other,
}

impl<'a> Command<'a> {
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let (name, rest) = split(body, 1)?;
        Some(match name {
            b"READY" => Self::Ready(socket_type(rest)?),
            b"ERROR" => Self::Error(split(rest, 1)?.0),
            b"PING" => {
                let context = rest.get(2..)?;
                Self::Ping(frame(COMMAND, &[b"\x04PONG", context].concat()))
            }
            _ => Self::Other,
        })
    }
}

/// The socket type among the properties of a ready server; empty when it does not say.
fn socket_type(mut properties: &[u8]) -> Option<&[u8]> {
    while !properties.is_empty() {
        let (name, rest) = split(properties, 1)?;
        let (value, rest) = split(rest, 4)?;
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            return Some(value);
        }
        properties = rest;
    }
    Some(&[])
}

/// A text after its length, of so many bytes, and what follows.
fn split(bytes: &[u8], width: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(width)?;
    let length = length.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Command, Flags, GREETING, check_greeting, greeting, ready, request};

    #[test]
    fn what_is_said_is_as_the_protocol_writes_it() {
        let said = greeting();
        let expected = [&b"\xff\0\0\0\0\0\0\0\0\x7f\x03\0NULL"[..], &[0; 48]].concat();
        assert_eq!(said, expected);
        assert_eq!(ready(), b"\x04\x26\x05READY\x0bSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\0");
        assert_eq!(request(b"{}"), b"\x01\0\0\x02{}");
        assert_eq!(request(&[b'x'; 300])[2..11], *b"\x02\0\0\0\0\0\0\x01\x2c");
    }

    #[test]
    fn what_servers_say_is_understood() {
        let mut said: [u8; GREETING] = greeting().try_into().unwrap();
        assert_eq!(check_greeting(&said), Ok(()));
        said[11] = 1;
        assert_eq!(check_greeting(&said), Ok(()), "later versions are fine");
        said[12..17].copy_from_slice(b"CURVE");
        assert_eq!(check_greeting(&said), Err("asks for the mechanism CURVE: expected NULL".to_owned()));
        said[10] = 1;
        assert_eq!(check_greeting(&said), Err("speaks ZMTP 1: expected 3.0 or later, as of ZeroMQ 4".to_owned()));
        assert_eq!(
            check_greeting(
                b"HTTP/1.1 400 Bad Request\r\n\r\n0000000000000000000000000000000000000000".first_chunk().unwrap()
            ),
            Err("does not speak ZeroMQ".to_owned())
        );
        let ready = b"\x05READY\x01a\0\0\0\x01b\x0bsocket-type\0\0\0\x06ROUTER";
        assert_eq!(Command::read(ready), Some(Command::Ready(b"ROUTER")));
        assert_eq!(Command::read(b"\x05READY"), Some(Command::Ready(b"")));
        assert_eq!(Command::read(b"\x05ERROR\x02no"), Some(Command::Error(b"no")));
        assert_eq!(Command::read(b"\x04PING\0\x01ab"), Some(Command::Ping(b"\x04\x07\x04PONGab".to_vec())));
        assert_eq!(Command::read(b"\x05READY\x0bSocket-Type\0\0\0\x07REP"), None);
        assert_eq!(Flags::read(1).map(|flags| (flags.more, flags.long, flags.command)), Ok((true, false, false)));
        assert!(Flags::read(8).is_err() && Flags::read(5).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            Command::read(&bytes);
        }
    }
}
