//! Looking at what a program sends where the broker does not know the protocol: a TLS greeting must name the right host,
//! and no placeholder may leave.

use crate::{
    Refusal,
    greeting::{self, GreetingReader},
    rules::Host,
    secrets::{Secrets, Sentinel},
};

/// First byte of a TLS handshake record, and of its version (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
const VERSION: u8 = 3;

/// Looks at the bytes of one connection, before they leave.
pub(crate) struct Watch<'a>(State<'a>);

enum State<'a> {
    Nothing,
    Start { host: &'a Host, sentinel: Sentinel<'a> },
    Greeting { host: &'a Host, reader: Box<GreetingReader> },
    Clear(Sentinel<'a>),
}

impl<'a> Watch<'a> {
    /// For what was looked at already.
    pub(crate) fn nothing() -> Self {
        Self(State::Nothing)
    }

    pub(crate) fn new(host: &'a Host, secrets: &'a Secrets) -> Self {
        Self(State::Start { host, sentinel: secrets.sentinel("in what it sends") })
    }

    /// Whether the next bytes may leave.
    pub(crate) fn check(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if let State::Start { host, .. } = self.0
            && is_greeting(bytes)
        {
            self.0 = State::Greeting { host, reader: Box::new(GreetingReader::new()) };
        }
        match std::mem::replace(&mut self.0, State::Nothing) {
            State::Nothing => {}
            State::Start { mut sentinel, .. } | State::Clear(mut sentinel) => {
                sentinel.check(bytes)?;
                self.0 = State::Clear(sentinel);
            }
            State::Greeting { host, mut reader } => match reader.feed(bytes)? {
                Some(name) => greeting::check(host, name.as_deref())?,
                None => self.0 = State::Greeting { host, reader },
            },
        }
        Ok(())
    }
}

fn is_greeting(bytes: &[u8]) -> bool {
    bytes.first() == Some(&HANDSHAKE) && bytes.get(1).is_none_or(|byte| *byte == VERSION)
}
