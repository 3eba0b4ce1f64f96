//! Ed25519 keys and signatures that print and parse as hexadecimal digits.

use std::{fmt, str::FromStr};

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use masque_types::digest::Digest;
use rand::Rng as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

/// A private key with its public one. It cannot be printed.
#[derive(Clone)]
pub struct KeyPair(SigningKey);

impl KeyPair {
    /// A new key.
    #[must_use]
    pub fn random() -> Self {
        let seed: Zeroizing<[u8; 32]> = Zeroizing::new(rand::rng().random());
        Self::from_seed(&seed)
    }

    /// The key of a seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    pub(crate) fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a message for a purpose: a signature for one purpose is none for another.
    #[must_use]
    pub fn sign(&self, purpose: &str, message: &[u8]) -> Signature {
        Signature(self.0.sign(&statement(purpose, message)).to_bytes())
    }

    /// Signs the bare message, for protocols that say themselves what they sign for, as TLS 1.3 does with 64 spaces and
    /// a context: no statement of [`Self::sign`] begins so, and no certificate is signed with these keys.
    #[must_use]
    pub fn sign_bare(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.public())
    }
}

/// What is signed: the purpose with its length, and the message.
fn statement(purpose: &str, message: &[u8]) -> Vec<u8> {
    [&(purpose.len() as u64).to_be_bytes(), purpose.as_bytes(), message].concat()
}

/// A public key; prints as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Whether this key signed that message for that purpose. Keys and signatures in unusual forms, of which several
    /// could stand for one, are refused.
    #[must_use]
    pub fn verifies(&self, purpose: &str, message: &[u8], signature: &Signature) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else { return false };
        key.verify_strict(&statement(purpose, message), &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()
    }

    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Takes raw bytes; whether they are a key shows when they verify something.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest that stands for this key where a key would be too long.
    #[must_use]
    pub fn thumbprint(&self) -> Digest {
        Digest::of(self.0)
    }
}

/// A signature; prints as 128 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// Takes raw bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != N * 2 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(place * 2..place * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// A text that has not the right number of hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public key has 64 and a signature 128 hexadecimal digits")]
pub struct ParseKeyError;

macro_rules! printed_as_hex {
    ($kind:ident) => {
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl FromStr for $kind {
            type Err = ParseKeyError;

            fn from_str(text: &str) -> Result<Self, ParseKeyError> {
                read_hex(text).map(Self).ok_or(ParseKeyError)
            }
        }

        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

printed_as_hex!(PublicKey);
printed_as_hex!(Signature);
