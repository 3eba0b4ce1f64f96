//! The side that decides: the platform that knows the registry.

use std::{collections::BTreeMap, time::Duration};

use masque_types::{digest::Digest, time::Timestamp};
use subtle::ConstantTimeEq as _;
use x25519_dalek::StaticSecret;

use super::{
    Channel, Random, Refusal,
    capability::{Capability, LONGEST, SignedCapability},
    limit::{Attempts, Limits},
    message::{self, Challenge, Hello, Proof},
};
use crate::{
    identity::{KeyPair, PublicKey, Registry, Signature, Standing},
    seal::Key,
};

pub(super) const CHALLENGE: &str = "masque/handshake/v1/challenge";
pub(super) const PROOF: &str = "masque/handshake/v1";
const GRANT_KEY: &[u8] = b"masque/handshake/v1/grant";

/// How long a challenge may be answered.
const CHALLENGE_LIFE: Duration = Duration::from_secs(30);
/// How far the clocks of two machines may differ.
pub(super) const CLOCK_SLACK: Duration = Duration::from_secs(5);

/// What a responder grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The name of this platform.
    pub server: String,
    /// The epoch of its policy.
    pub epoch: u64,
    /// The audiences that it grants capabilities for.
    pub audiences: Vec<String>,
    /// How long a capability lives; at most five minutes.
    pub life: Duration,
    /// Bounds.
    pub limits: Limits,
}

/// The platform's side of all handshakes that are under way. Nothing in it outlives the process: after a restart every
/// open challenge is unknown.
#[derive(Debug, Clone)]
pub struct Responder {
    key: KeyPair,
    /// Stands in for the key of whoever cannot be right, so that a refusal takes the same work.
    decoy: PublicKey,
    terms: Terms,
    attempts: Attempts,
    challenges: BTreeMap<[u8; 32], Pending>,
}

/// A challenge that was given.
#[derive(Debug, Clone)]
struct Pending {
    hello: Hello,
    channel: Channel,
    transcript: Transcript,
    ephemeral: [u8; 32],
    expires_at: Timestamp,
    answered: bool,
}

/// A handshake that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// What was granted.
    pub capability: Capability,
    /// The GRANT to send.
    pub grant: Vec<u8>,
}

/// The digest of everything that was said, and of the channel that it was said on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Transcript(pub(super) Digest);

impl Transcript {
    pub(super) fn of(hello: &[u8], challenge: &[u8], channel: &Channel) -> Self {
        Self(Digest::of_parts([hello, challenge, channel.as_bytes()]))
    }
}

impl Responder {
    /// A responder with the platform's key. `random` seeds a key that nobody has.
    #[must_use]
    pub fn new(key: KeyPair, terms: Terms, random: &[u8; 32]) -> Self {
        let decoy = KeyPair::from_seed(random).public();
        Self { key, decoy, terms, attempts: Attempts::default(), challenges: BTreeMap::new() }
    }

    /// The key that challenges and capabilities are signed with.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.key.public()
    }

    /// Answers a HELLO with a CHALLENGE, whoever says hello: strangers do not learn who is registered.
    ///
    /// # Errors
    /// When the bytes are no HELLO, or there were too many attempts.
    pub fn challenge(
        &mut self,
        hello: &[u8],
        channel: Channel,
        now: Timestamp,
        random: &Random,
    ) -> Result<Vec<u8>, Refusal> {
        let decoded = Hello::decode(hello)?;
        self.forget(now);
        let open = self.challenges.values().filter(|pending| !pending.answered).count();
        let counted = self.attempts.count(decoded.card.card().name.as_str(), &self.terms.limits, now);
        if !counted || open >= self.terms.limits.open_challenges {
            return Err(Refusal::RateLimited);
        }
        let ephemeral = StaticSecret::from(random.ephemeral);
        let mut challenge = Challenge {
            nonce: random.nonce,
            server: self.terms.server.clone(),
            epoch: self.terms.epoch,
            ephemeral: x25519_dalek::PublicKey::from(&ephemeral).to_bytes(),
            signature: Signature::from_bytes([0; 64]),
        };
        challenge.signature = self.key.sign(CHALLENGE, &challenge_statement(hello, &challenge, &channel));
        let bytes = challenge.encode();
        let pending = Pending {
            hello: decoded,
            channel,
            transcript: Transcript::of(hello, &bytes, &channel),
            ephemeral: random.ephemeral,
            expires_at: now.plus(CHALLENGE_LIFE),
            answered: false,
        };
        self.challenges.insert(random.nonce, pending);
        Ok(bytes)
    }

    /// Checks a PROOF against the registry as it is now, and grants what was asked for as far as `allowed` goes. The
    /// challenge is used up, whatever comes of it.
    ///
    /// # Errors
    /// Why it is refused; tell the other side no more than that it is.
    pub fn grant(
        &mut self,
        registry: &Registry,
        proof: &[u8],
        channel: Channel,
        allowed: &[String],
        now: Timestamp,
        nonce: [u8; 24],
    ) -> Result<Granted, Refusal> {
        let proof = Proof::decode(proof)?;
        let Some(pending) = self.challenges.get_mut(&proof.nonce) else {
            let _same_work = self.decoy.verifies(PROOF, &[0; 32], &proof.signature);
            return Err(Refusal::Unknown);
        };
        let answered = std::mem::replace(&mut pending.answered, true);
        let pending = pending.clone();
        let standing = registry.standing(&pending.hello.card, &self.key.public());
        let key = match standing {
            Standing::Current => pending.hello.card.card().public_key,
            _ => self.decoy,
        };
        // The signature is checked in any case, before anything is said.
        let is_signed = key.verifies(PROOF, pending.transcript.0.as_bytes(), &proof.signature);
        let same = |one: &Digest, other: &Digest| bool::from(one.as_bytes().ct_eq(other.as_bytes()));
        let same_channel = same(&pending.channel, &channel) & same(&pending.channel, &proof.channel);
        if answered {
            return Err(Refusal::Replayed);
        }
        if now >= pending.expires_at {
            return Err(Refusal::Expired);
        }
        refusal_of(standing)?;
        if !same_channel {
            return Err(Refusal::WrongChannel);
        }
        if !is_signed {
            return Err(Refusal::BadSignature);
        }
        self.issue(&pending, allowed, now, nonce)
    }

    fn issue(
        &self,
        pending: &Pending,
        allowed: &[String],
        now: Timestamp,
        nonce: [u8; 24],
    ) -> Result<Granted, Refusal> {
        let request = &pending.hello.request;
        if !self.terms.audiences.contains(&request.audience) {
            return Err(Refusal::OutOfScope);
        }
        let card = pending.hello.card.card();
        let capability = Capability {
            persona: card.name.to_string(),
            card: pending.hello.card.digest(),
            audience: request.audience.clone(),
            scopes: request.scopes.iter().filter(|scope| allowed.contains(scope)).cloned().collect(),
            key: card.public_key.thumbprint(),
            session: pending.transcript.0,
            epoch: self.terms.epoch,
            issued_at: now,
            expires_at: now.plus(self.terms.life.min(LONGEST)),
        };
        let signed = SignedCapability::sign(capability.clone(), &self.key).map_err(|_| Refusal::Malformed)?;
        let secret = StaticSecret::from(pending.ephemeral);
        let key = grant_key(&secret, pending.hello.ephemeral, &pending.transcript).ok_or(Refusal::BadSignature)?;
        let sealed = key.seal_with(nonce, pending.transcript.0.as_bytes(), &signed.encode());
        let grant = message::encode_grant(&sealed.ok_or(Refusal::Malformed)?);
        Ok(Granted { capability, grant })
    }

    /// Drops challenges long after they ended; until then a second answer is told from an unknown one.
    fn forget(&mut self, now: Timestamp) {
        self.challenges.retain(|_, pending| now < pending.expires_at.plus(CHALLENGE_LIFE));
        while self.challenges.len() > self.terms.limits.open_challenges.saturating_mul(2) {
            let oldest = self.challenges.iter().filter(|(_, pending)| pending.answered).map(|(nonce, _)| *nonce).next();
            match oldest {
                Some(nonce) => self.challenges.remove(&nonce),
                None => break,
            };
        }
    }
}

fn refusal_of(standing: Standing) -> Result<(), Refusal> {
    Err(match standing {
        Standing::Current => return Ok(()),
        Standing::Unknown => Refusal::Unknown,
        Standing::Revoked => Refusal::Revoked,
        Standing::WrongIcon => Refusal::WrongIcon,
        Standing::WrongVersion => Refusal::WrongVersion,
        Standing::BadSignature => Refusal::BadSignature,
    })
}

/// What the platform signs: which HELLO it answers, with what, on which channel.
pub(super) fn challenge_statement(hello: &[u8], challenge: &Challenge, channel: &Channel) -> Vec<u8> {
    Digest::of_parts([hello, &challenge.unsigned(), channel.as_bytes()]).as_bytes().to_vec()
}

/// The key that seals the grant: from both ephemeral keys and the transcript. None when the other side's key is one of
/// those that give the same secret with everybody.
pub(super) fn grant_key(own: &StaticSecret, theirs: [u8; 32], transcript: &Transcript) -> Option<Key> {
    let shared = own.diffie_hellman(&x25519_dalek::PublicKey::from(theirs));
    let parts = [GRANT_KEY, shared.as_bytes().as_slice(), transcript.0.as_bytes()];
    shared.was_contributory().then(|| Key::new(*Digest::of_parts(parts).as_bytes()))
}
