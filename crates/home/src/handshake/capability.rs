//! Capabilities: what a persona may do at one service for some minutes, bound to its key.

use std::time::Duration;

use masque_types::{digest::Digest, time::Timestamp};
use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::{
    Error,
    identity::{KeyPair, PublicKey, Signature},
};

/// No capability lives longer.
pub(super) const LONGEST: Duration = Duration::from_secs(5 * 60);
const PURPOSE: &str = "masque/capability/v1";
const USE: &str = "masque/capability-use/v1";

/// What was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    /// The persona.
    pub persona: String,
    /// The card that it proved.
    pub card: Digest,
    /// The service that it is for.
    pub audience: String,
    /// What it allows.
    pub scopes: Vec<String>,
    /// The key that uses of it are signed with.
    pub key: Digest,
    /// The handshake that it came from.
    pub session: Digest,
    /// The policy's epoch when it was granted.
    pub epoch: u64,
    /// When it was granted.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A capability as the platform signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCapability {
    capability: Capability,
    bytes: Vec<u8>,
    signature: Signature,
}

impl SignedCapability {
    pub(super) fn sign(capability: Capability, platform: &KeyPair) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(&capability)?;
        let signature = platform.sign(PURPOSE, &bytes);
        Ok(Self { capability, bytes, signature })
    }

    /// What was granted.
    #[must_use]
    pub const fn capability(&self) -> &Capability {
        &self.capability
    }

    /// The bytes to send and keep.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [self.signature.as_bytes().as_slice(), &self.bytes].concat()
    }

    /// Reads the bytes; nothing is checked yet.
    ///
    /// # Errors
    /// When they are no capability.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let (signature, bytes) = bytes.split_first_chunk::<64>().ok_or(Refusal::Malformed)?;
        let capability = serde_json::from_slice(bytes).map_err(|_| Refusal::Malformed)?;
        Ok(Self { capability, bytes: bytes.to_vec(), signature: Signature::from_bytes(*signature) })
    }

    pub(super) fn is_signed_by(&self, platform: &PublicKey) -> bool {
        platform.verifies(PURPOSE, &self.bytes, &self.signature)
    }

    /// Signs the use of this capability for one request, by the digest of that request.
    #[must_use]
    pub fn sign_use(&self, key: &KeyPair, request: &Digest) -> Signature {
        key.sign(USE, &self.use_statement(request))
    }

    fn use_statement(&self, request: &Digest) -> Vec<u8> {
        Digest::of_parts([self.bytes.as_slice(), request.as_bytes()]).as_bytes().to_vec()
    }

    /// Checks the use of this capability: granted by that platform, for that audience and scope, not yet over, and
    /// used by whoever holds the key.
    ///
    /// # Errors
    /// The first of these that does not hold.
    pub fn check(&self, claim: &Use<'_>) -> Result<(), Refusal> {
        let capability = &self.capability;
        let signed = self.is_signed_by(claim.platform)
            && claim.key.thumbprint() == capability.key
            && claim.key.verifies(USE, &self.use_statement(claim.request), claim.signature);
        if !signed {
            return Err(Refusal::BadSignature);
        }
        if claim.now >= capability.expires_at || claim.now.plus(super::responder::CLOCK_SLACK) < capability.issued_at {
            return Err(Refusal::Expired);
        }
        let allowed = capability.scopes.iter().any(|scope| scope == claim.scope);
        if claim.audience == capability.audience && allowed { Ok(()) } else { Err(Refusal::OutOfScope) }
    }
}

/// The use of a capability, as a service sees it.
#[derive(Debug, Clone, Copy)]
pub struct Use<'a> {
    /// Who must have granted it.
    pub platform: &'a PublicKey,
    /// The service that is asked.
    pub audience: &'a str,
    /// What is asked for.
    pub scope: &'a str,
    /// The digest of the request.
    pub request: &'a Digest,
    /// The key that the request is said to come from.
    pub key: &'a PublicKey,
    /// Its signature over the use.
    pub signature: &'a Signature,
    /// The time.
    pub now: Timestamp,
}
