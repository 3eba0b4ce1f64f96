//! Who a persona is: its Ed25519 key, its card, and the registry of this installation that signs and revokes cards.
//!
//! Leaves out how a persona proves that it is the one: see [`crate::handshake`].

mod card;
mod host;
mod key;
mod registry;
mod store;

pub use card::{Card, SignedCard};
pub use key::{KeyPair, PublicKey, Signature};
pub use registry::{Entry, Registry, Revocation, Standing, Succession};
pub use store::{Identities, Identity, Subject};
