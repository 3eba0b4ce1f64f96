//! The messages as bytes. There is exactly one form for each: whatever is not written by these functions is refused.

use masque_types::digest::Digest;

use super::Refusal;
use crate::identity::{Signature, SignedCard};

/// How every message begins; the version of the protocol is in it.
const MAGIC: [u8; 4] = *b"MQH1";
/// Bounds of what a stranger may make us read.
const MOST_BYTES: usize = 16 * 1024;
const MOST_SCOPES: usize = 64;

const HELLO: u8 = 1;
const CHALLENGE: u8 = 2;
const PROOF: u8 = 3;
const GRANT: u8 = 4;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The service that the capability is for.
    pub audience: String,
    /// What it is to allow.
    pub scopes: Vec<String>,
}

/// Who I am, what I want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) card: SignedCard,
    pub(super) request: Request,
    pub(super) nonce: [u8; 32],
    pub(super) ephemeral: [u8; 32],
}

/// Prove it, here and now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) nonce: [u8; 32],
    pub(super) server: String,
    pub(super) epoch: u64,
    pub(super) ephemeral: [u8; 32],
    pub(super) signature: Signature,
}

/// Here is the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) nonce: [u8; 32],
    pub(super) channel: Digest,
    pub(super) signature: Signature,
}

impl Hello {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::begin(HELLO);
        out.text(self.card.bytes());
        out.bytes(self.card.signature().as_bytes());
        out.text(self.request.audience.as_bytes());
        out.bytes(&(self.request.scopes.len() as u32).to_be_bytes());
        for scope in &self.request.scopes {
            out.text(scope.as_bytes());
        }
        out.bytes(&self.nonce);
        out.bytes(&self.ephemeral);
        out.0
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut input = Reader::begin(bytes, HELLO)?;
        let card = input.text()?.to_vec();
        let signature = Signature::from_bytes(input.array()?);
        let card = SignedCard::from_parts(card, signature).map_err(|_| Refusal::Malformed)?;
        let audience = input.string()?;
        let count = u32::from_be_bytes(input.array()?) as usize;
        if count > MOST_SCOPES {
            return Err(Refusal::Malformed);
        }
        let scopes = (0..count).map(|_| input.string()).collect::<Result<_, _>>()?;
        let hello =
            Self { card, request: Request { audience, scopes }, nonce: input.array()?, ephemeral: input.array()? };
        input.end(hello)
    }
}

impl Challenge {
    /// What the platform signs: everything before the signature.
    pub(super) fn unsigned(&self) -> Vec<u8> {
        let mut out = Writer::begin(CHALLENGE);
        out.bytes(&self.nonce);
        out.text(self.server.as_bytes());
        out.bytes(&self.epoch.to_be_bytes());
        out.bytes(&self.ephemeral);
        out.0
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        [self.unsigned().as_slice(), self.signature.as_bytes()].concat()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut input = Reader::begin(bytes, CHALLENGE)?;
        let nonce = input.array()?;
        let server = input.string()?;
        let epoch = u64::from_be_bytes(input.array()?);
        let ephemeral = input.array()?;
        let signature = Signature::from_bytes(input.array()?);
        input.end(Self { nonce, server, epoch, ephemeral, signature })
    }
}

impl Proof {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::begin(PROOF);
        out.bytes(&self.nonce);
        out.bytes(self.channel.as_bytes());
        out.bytes(self.signature.as_bytes());
        out.0
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut input = Reader::begin(bytes, PROOF)?;
        let nonce = input.array()?;
        let channel: [u8; 32] = input.array()?;
        let channel = Digest::from_bytes(&channel).ok_or(Refusal::Malformed)?;
        let signature = Signature::from_bytes(input.array()?);
        input.end(Self { nonce, channel, signature })
    }
}

/// A grant: sealed bytes.
pub(super) fn encode_grant(sealed: &[u8]) -> Vec<u8> {
    let mut out = Writer::begin(GRANT);
    out.text(sealed);
    out.0
}

/// The sealed bytes of a grant.
pub(super) fn decode_grant(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut input = Reader::begin(bytes, GRANT)?;
    let sealed = input.text()?.to_vec();
    input.end(sealed)
}

struct Writer(Vec<u8>);

impl Writer {
    fn begin(kind: u8) -> Self {
        Self([MAGIC.as_slice(), &[kind]].concat())
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, bytes: &[u8]) {
        self.bytes(&(bytes.len() as u32).to_be_bytes());
        self.bytes(bytes);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn begin(bytes: &'a [u8], kind: u8) -> Result<Self, Refusal> {
        if bytes.len() > MOST_BYTES {
            return Err(Refusal::Malformed);
        }
        let rest = bytes.strip_prefix(&MAGIC).and_then(|rest| rest.strip_prefix(&[kind]));
        rest.map(Self).ok_or(Refusal::Malformed)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Refusal> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Refusal::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        self.take(N)?.try_into().map_err(|_| Refusal::Malformed)
    }

    fn text(&mut self) -> Result<&'a [u8], Refusal> {
        let length = u32::from_be_bytes(self.array()?);
        self.take(length as usize)
    }

    fn string(&mut self) -> Result<String, Refusal> {
        String::from_utf8(self.text()?.to_vec()).map_err(|_| Refusal::Malformed)
    }

    fn end<T>(self, value: T) -> Result<T, Refusal> {
        if self.0.is_empty() { Ok(value) } else { Err(Refusal::Malformed) }
    }
}
