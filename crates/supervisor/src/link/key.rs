//! A host's public key as text: `ed25519:` and 64 hexadecimal digits.

use masque_home::identity::PublicKey;

use crate::Error;

const KIND: &str = "ed25519:";

/// The text of a host's key, as the manifest's `key` holds it.
#[must_use]
pub fn print_host_key(key: &PublicKey) -> String {
    format!("{KIND}{key}")
}

/// Reads a host's key.
///
/// # Errors
/// When the text of that place is none.
pub fn parse_host_key(place: &str, text: &str) -> Result<PublicKey, Error> {
    let digits = text.strip_prefix(KIND).and_then(|digits| digits.parse().ok());
    digits.ok_or_else(|| Error::HostKey { place: place.to_owned(), text: text.to_owned() })
}
