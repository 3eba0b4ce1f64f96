//! The handshake: whoever wants to act as a persona proves it, and gets a capability of minutes.
//!
//! Four messages: HELLO (card, request, nonce, ephemeral key) → CHALLENGE (single-use nonce, ephemeral key, epoch, signed
//! by the platform) → PROOF (the persona's signature over the transcript and the channel) → GRANT (a capability, sealed
//! with a key that both sides agreed on). [`Initiator`] and [`Responder`] are pure: bytes, times and randomness are
//! passed in, what is to be sent comes out. Leaves out transport, and what a channel is: the caller gives a digest of
//! whatever binds the two ends, such as peer credentials or a TLS exporter.
//!
//! Whatever is wrong, the other side gets the same answer after the same work; the typed [`Refusal`] is for the audit
//! log.

mod capability;
mod initiator;
mod limit;
mod message;
mod responder;

pub use capability::{Capability, SignedCapability, Use};
pub use initiator::{AwaitingGrant, Initiator, Platform};
pub use limit::Limits;
pub use message::Request;
pub use responder::{Granted, Responder, Terms};

use masque_types::digest::Digest;

/// Why an attempt was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    /// The bytes are no message of this protocol.
    #[error("malformed: the bytes are no message of the handshake")]
    Malformed,
    /// No such persona is registered, or no such challenge was given.
    #[error("unknown: no such persona, or no such challenge")]
    Unknown,
    /// The persona's key was revoked.
    #[error("revoked: the key of the persona was revoked")]
    Revoked,
    /// The card shows another icon than the registered one.
    #[error("wrong icon: the card shows another icon than the registered one")]
    WrongIcon,
    /// The card is not the current one.
    #[error("wrong version: the card is not the current one")]
    WrongVersion,
    /// The message came over another channel than the one that it was made for.
    #[error("wrong channel: the message was made for another connection")]
    WrongChannel,
    /// A signature, or the seal of the grant, does not hold.
    #[error("bad signature")]
    BadSignature,
    /// The challenge or the capability is too old.
    #[error("expired")]
    Expired,
    /// The challenge was answered before.
    #[error("replayed: the challenge was answered before")]
    Replayed,
    /// The capability is for somebody else, or does not reach that far.
    #[error("out of scope: the capability is for another audience or scope")]
    OutOfScope,
    /// Too many attempts.
    #[error("too many attempts: wait a minute")]
    RateLimited,
}

/// Randomness for one message, from the caller: never used twice.
#[derive(Debug, Clone, Copy)]
pub struct Random {
    /// A nonce.
    pub nonce: [u8; 32],
    /// The seed of an ephemeral key.
    pub ephemeral: [u8; 32],
}

/// What binds both ends of a connection; both must come to the same digest.
pub type Channel = Digest;
