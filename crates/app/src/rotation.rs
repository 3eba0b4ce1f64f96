//! The use case of giving everything that is sealed new keys.

pub use masque_home::home::NextRoot;
use masque_home::home::Rotation;
use masque_types::{actor::Actor, secret::Secret};
use serde_json::json;

use crate::{App, Error, audit, home, keys, logins, secrets};

/// Shortest passphrase in characters. Argon2id makes each guess dear, but not a word of a list.
const SHORTEST: usize = 12;

impl App {
    /// Gives the vault a new key and a new root key, and moves everything that is sealed to them: provider keys, secrets,
    /// logins, homes, identities. How many things were moved. After a crash everything is readable by the old keys or the new.
    ///
    /// # Errors
    /// When the passphrase is too short, something cannot be unsealed, or a file cannot be written.
    pub async fn rotate_keys(&self, actor: &Actor, next: NextRoot) -> Result<usize, Error> {
        let rotation = Rotation::begin(&self.host.home, home::passphrase(&self.host))?;
        // Before the root key changes: what was sealed before there was a vault is sealed with that key itself.
        let mut moved = keys::reseal(&self.host, rotation.vault())?;
        moved += secrets::reseal(&self.host, rotation.vault())?;
        moved += logins::reseal(&self.host, rotation.vault())?;
        moved += rotation.rewrap()?;
        rotation.finish(&next)?;
        let root = match next {
            NextRoot::Renewed => "renewed",
            NextRoot::File => "file",
            NextRoot::Passphrase(_) => "passphrase",
        };
        let detail = json!({ "root": root, "moved": moved });
        self.store.audit(audit::entry(self.now(), actor, "key.rotate", None, "vault", detail)).await?;
        Ok(moved)
    }
}

/// The passphrase that a person gave, without the end of its line.
///
/// # Errors
/// When it is too short.
pub fn new_passphrase(given: &Secret) -> Result<NextRoot, Error> {
    let passphrase = given.expose().trim_end_matches(['\n', '\r']);
    if passphrase.chars().count() < SHORTEST {
        return Err(Error::usage(format!("the passphrase has less than {SHORTEST} characters"))
            .hint("take several words that do not belong together"));
    }
    Ok(NextRoot::Passphrase(Secret::new(passphrase)))
}
