//! A persona's card: what it says about itself, signed by the installation that runs it.

use masque_types::{digest::Digest, time::Timestamp};
use serde::{Deserialize, Serialize};

use super::key::{KeyPair, PublicKey, Signature};
use crate::{Error, name::Name};

const PURPOSE: &str = "masque/card/v1";

/// What a persona is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Its name.
    pub name: Name,
    /// Rises with every card of the persona.
    pub version: u64,
    /// Digest of everything that the persona was loaded from.
    pub file: Digest,
    /// Digest of its icon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<Digest>,
    /// Its key.
    pub public_key: PublicKey,
    /// Rises with every key of the persona.
    pub key_epoch: u64,
    /// When it was signed.
    pub issued_at: Timestamp,
}

/// A card as it was signed: the very bytes, and the signature over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCard {
    card: Card,
    bytes: Vec<u8>,
    signature: Signature,
}

impl SignedCard {
    /// Signs a card.
    ///
    /// # Errors
    /// When the card cannot be written as JSON.
    pub fn sign(card: Card, installation: &KeyPair) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(&card)?;
        let signature = installation.sign(PURPOSE, &bytes);
        Ok(Self { card, bytes, signature })
    }

    /// Reads a card from its bytes; the signature is not checked.
    ///
    /// # Errors
    /// When the bytes are no card.
    pub fn from_parts(bytes: Vec<u8>, signature: Signature) -> Result<Self, Error> {
        let card = serde_json::from_slice(&bytes)?;
        Ok(Self { card, bytes, signature })
    }

    /// What it says.
    #[must_use]
    pub const fn card(&self) -> &Card {
        &self.card
    }

    /// The bytes that were signed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The signature.
    #[must_use]
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The digest that stands for this card.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// Whether that installation signed it.
    #[must_use]
    pub fn is_signed_by(&self, installation: &PublicKey) -> bool {
        installation.verifies(PURPOSE, &self.bytes, &self.signature)
    }
}

/// As stored: the signed text and the signature.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    card: String,
    signature: Signature,
}

impl Serialize for SignedCard {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let card = String::from_utf8(self.bytes.clone()).map_err(serde::ser::Error::custom)?;
        Stored { card, signature: self.signature }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SignedCard {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        Self::from_parts(stored.card.into_bytes(), stored.signature).map_err(serde::de::Error::custom)
    }
}
