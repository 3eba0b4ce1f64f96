//! Identifiers: newtypes that print with a prefix (`run_…`) and parse back.
//!
//! Leaves out making new ones: that needs a clock and randomness, which the application holds.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::digest::Digest;

/// Why a text is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {noun} id: expected `{prefix}` and 26 characters of 0-9 and a-z")]
pub struct ParseIdError {
    /// What was given.
    pub text: String,
    /// The noun, for example `run`.
    pub noun: &'static str,
    /// The expected prefix, for example `run_`.
    pub prefix: &'static str,
}

/// Crockford's base 32 in lower case: sorts like the number, has no `i`, `l`, `o`, `u`.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn encode(value: u128) -> String {
    (0..26).rev().map(|place| digit((value >> (place * 5)) as u8 & 31)).collect()
}

fn digit(value: u8) -> char {
    ALPHABET.get(usize::from(value)).map_or('0', |byte| char::from(*byte))
}

fn decode(text: &str) -> Option<u128> {
    if text.len() != 26 || text.as_bytes().first().is_none_or(|first| *first > b'7') {
        return None;
    }
    text.bytes().try_fold(0u128, |value, byte| {
        let place = ALPHABET.iter().position(|letter| *letter == byte)?;
        Some(value << 5 | place as u128)
    })
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $noun:literal, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u128);

        impl $name {
            /// The printed prefix.
            pub const PREFIX: &'static str = $prefix;

            /// Takes the 128 bits of a UUID (version 7, so that ids sort by time).
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid.as_u128())
            }

            /// Derives an id from a digest: the same content gives the same id.
            #[must_use]
            pub fn derive(digest: &Digest) -> Self {
                Self(digest.first_128_bits())
            }

            /// Like [`derive`](Self::derive), but sorts by time with ids that were made from a clock.
            #[must_use]
            pub fn derive_at(at: crate::time::Timestamp, digest: &Digest) -> Self {
                let millis = u128::try_from(at.0.max(0)).unwrap_or_default() & 0xffff_ffff_ffff;
                Self(millis << 80 | digest.first_128_bits() >> 48)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.strip_prefix($prefix)
                    .and_then(decode)
                    .map(Self)
                    .ok_or_else(|| ParseIdError { text: text.to_owned(), noun: $noun, prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

id!(
    /// One durable run; also the trace id that journal, audit, calls and logs carry.
    RunId, "run", "run_"
);
id!(
    /// One question to a human, derived from the run and the event that asked it.
    ApprovalId, "approval", "apr_"
);
id!(
    /// One command in a run's inbox.
    CommandId, "command", "cmd_"
);
id!(
    /// One remembered document, derived from its namespace and source.
    DocumentId, "document", "doc_"
);
id!(
    /// One proposal for a standard.
    ProposalId, "proposal", "prp_"
);
id!(
    /// One access token of this server; the token itself is a secret and is stored as a digest only.
    TokenId, "token", "tok_"
);

/// Position of an event in its run's journal, from 1 on. 0 means "before the first".
pub type Seq = u64;

/// Fencing token of a lease: raised by each claim; an append with an older one fails.
pub type Epoch = u64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn prints_and_parses_back_in_order(a: u128, b: u128) {
            let (x, y) = (RunId(a), RunId(b));
            prop_assert_eq!(x.to_string().parse::<RunId>().unwrap(), x);
            prop_assert_eq!(x.to_string().cmp(&y.to_string()), a.cmp(&b));
        }
    }

    #[test]
    fn refuses_what_is_no_run_id() {
        for text in ["", "run_", "apr_01jd3vzzzzzzzzzzzzzzzzzzzz", "run_81jd3vzzzzzzzzzzzzzzzzzzzz", "run_ü"] {
            let error = text.parse::<RunId>().unwrap_err();
            assert!(error.to_string().contains("is not a run id"), "{error}");
        }
    }
}
