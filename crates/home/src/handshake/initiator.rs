//! The side that wants to act as a persona.

use masque_types::{digest::Digest, time::Timestamp};
use x25519_dalek::StaticSecret;

use super::{
    Channel, Random, Refusal,
    capability::SignedCapability,
    message::{self, Challenge, Hello, Proof, Request},
    responder::{self, Transcript},
};
use crate::identity::{Identity, KeyPair, PublicKey};

/// The platform that the initiator expects at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// Its name.
    pub server: String,
    /// Its key.
    pub key: PublicKey,
    /// The oldest epoch of its policy that is still good.
    pub epoch: u64,
}

/// HELLO was made; a CHALLENGE is awaited.
pub struct Initiator {
    key: KeyPair,
    card: Digest,
    hello: Vec<u8>,
    request: Request,
    ephemeral: StaticSecret,
    channel: Channel,
}

impl Initiator {
    /// Begins a handshake. Gives the state and the HELLO to send.
    #[must_use]
    pub fn start(identity: &Identity, request: Request, channel: Channel, random: &Random) -> (Self, Vec<u8>) {
        let ephemeral = StaticSecret::from(random.ephemeral);
        let hello = Hello {
            card: identity.card.clone(),
            request: request.clone(),
            nonce: random.nonce,
            ephemeral: x25519_dalek::PublicKey::from(&ephemeral).to_bytes(),
        };
        let hello = hello.encode();
        let card = identity.card.digest();
        (Self { key: identity.key.clone(), card, hello: hello.clone(), request, ephemeral, channel }, hello)
    }

    /// Answers the challenge. Gives the next state and the PROOF to send.
    ///
    /// # Errors
    /// When the challenge is not from that platform, for this HELLO, on this channel.
    pub fn answer(self, challenge: &[u8], platform: &Platform) -> Result<(AwaitingGrant, Vec<u8>), Refusal> {
        let decoded = Challenge::decode(challenge)?;
        let statement = responder::challenge_statement(&self.hello, &decoded, &self.channel);
        if decoded.server != platform.server
            || !platform.key.verifies(responder::CHALLENGE, &statement, &decoded.signature)
        {
            return Err(Refusal::BadSignature);
        }
        if decoded.epoch < platform.epoch {
            return Err(Refusal::WrongVersion);
        }
        let transcript = Transcript::of(&self.hello, challenge, &self.channel);
        let signature = self.key.sign(responder::PROOF, transcript.0.as_bytes());
        let proof = Proof { nonce: decoded.nonce, channel: self.channel, signature };
        let next = AwaitingGrant {
            key: self.key.public(),
            card: self.card,
            request: self.request,
            ephemeral: self.ephemeral,
            theirs: decoded.ephemeral,
            transcript,
            platform: platform.key,
        };
        Ok((next, proof.encode()))
    }
}

/// PROOF was made; a GRANT is awaited.
pub struct AwaitingGrant {
    key: PublicKey,
    card: Digest,
    request: Request,
    ephemeral: StaticSecret,
    theirs: [u8; 32],
    transcript: Transcript,
    platform: PublicKey,
}

impl AwaitingGrant {
    /// Takes the capability out of the grant.
    ///
    /// # Errors
    /// When the grant is not from this handshake, or the capability is not what was asked for.
    pub fn finish(self, grant: &[u8], now: Timestamp) -> Result<SignedCapability, Refusal> {
        let sealed = message::decode_grant(grant)?;
        let key = responder::grant_key(&self.ephemeral, self.theirs, &self.transcript).ok_or(Refusal::BadSignature)?;
        let plain = key.unseal(self.transcript.0.as_bytes(), &sealed).ok_or(Refusal::BadSignature)?;
        let signed = SignedCapability::decode(&plain)?;
        let granted = signed.capability();
        let is_ours = signed.is_signed_by(&self.platform)
            && granted.key == self.key.thumbprint()
            && granted.card == self.card
            && granted.session == self.transcript.0;
        if !is_ours {
            return Err(Refusal::BadSignature);
        }
        if granted.audience != self.request.audience
            || !granted.scopes.iter().all(|scope| self.request.scopes.contains(scope))
        {
            return Err(Refusal::OutOfScope);
        }
        if now >= granted.expires_at { Err(Refusal::Expired) } else { Ok(signed) }
    }
}
