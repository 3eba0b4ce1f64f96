//! One key of 32 bytes, and what it seals.

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use rand::Rng as _;
use zeroize::Zeroizing;

pub(super) const KEY_BYTES: usize = 32;
pub(super) const NONCE_BYTES: usize = 24;
/// What sealing adds: the nonce in front and the tag behind.
pub(crate) const OVERHEAD: usize = NONCE_BYTES + 16;

/// A key; its memory is cleared when it is dropped.
#[derive(Clone)]
pub(crate) struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    pub(crate) fn random() -> Self {
        Self(Zeroizing::new(rand::rng().random()))
    }

    pub(crate) fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::new)
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Nonce and ciphertext; none only for texts of many gigabytes, which the cipher cannot take.
    pub(crate) fn seal(&self, associated: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        self.seal_with(rand::rng().random(), associated, plain)
    }

    /// Like [`Self::seal`], with a nonce that must not have been used with this key.
    pub(crate) fn seal_with(&self, nonce: [u8; NONCE_BYTES], associated: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let payload = Payload { msg: plain, aad: associated };
        let sealed = XChaCha20Poly1305::new((&*self.0).into()).encrypt(&XNonce::from(nonce), payload).ok()?;
        Some([nonce.as_slice(), &sealed].concat())
    }

    /// The plain text; none when the key, the associated data or any byte is another one.
    pub(crate) fn unseal(&self, associated: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
        let payload = Payload { msg: sealed, aad: associated };
        let plain = XChaCha20Poly1305::new((&*self.0).into()).decrypt(XNonce::from_slice(nonce), payload).ok()?;
        Some(Zeroizing::new(plain))
    }
}

/// Associated data of parts, each with its length, so that no boundary can be moved.
pub(crate) fn associated(purpose: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut data = purpose.as_bytes().to_vec();
    for part in parts {
        data.extend_from_slice(&(part.len() as u64).to_be_bytes());
        data.extend_from_slice(part);
    }
    data
}
