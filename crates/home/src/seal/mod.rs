//! Sealing of data at rest: a root key, under it a key per tenant, under that a fresh data key per item.
//!
//! Everything is XChaCha20-Poly1305 with 24 random bytes as nonce. What an item is (tenant, persona, item, version) is
//! authenticated with it, so that sealed bytes cannot be moved to another place. Rotating a key re-wraps the keys below
//! it and leaves the data as it is. Leaves out who may unseal what.

mod cipher;
mod root;
mod vault;

pub use root::Passphrase;
pub use vault::{Item, Vault};

pub(crate) use cipher::Key;

/// The tenant of a single user's machine.
pub const LOCAL: &str = "local";
