//! New keys for everything that is sealed: a new key of the tenant, all data keys moved to it, and a new root key.
//!
//! Only keys are sealed again, no data. Older keys of the tenant stay in the vault, under the new root key: versions hold
//! saved contexts as they were sealed then. A crash at any moment leaves everything readable; the next rotation moves
//! what this one left.

use std::path::Path;

use super::Homes;
use crate::{
    Error, files,
    seal::{LOCAL, Passphrase, Vault},
};

/// What the root key becomes.
#[derive(Debug)]
pub enum NextRoot {
    /// Another one from where it comes from now: the key file, or the same passphrase.
    Renewed,
    /// A random one in the key file.
    File,
    /// One that is derived from this passphrase.
    Passphrase(Passphrase),
}

/// A rotation under way. No other one begins meanwhile.
pub struct Rotation {
    _lock: files::Lock,
    vault: Vault,
    homes: Homes,
    passphrase: Option<Passphrase>,
}

impl Rotation {
    /// Gives the tenant a new key, which seals from here on.
    ///
    /// # Errors
    /// When the vault cannot be opened or written.
    pub fn begin(directory: &Path, passphrase: Option<Passphrase>) -> Result<Self, Error> {
        let lock = files::Lock::take(&directory.join("rotation.lock"))?;
        let mut vault = Vault::open(directory, passphrase.as_ref())?;
        vault.rotate_tenant(LOCAL)?;
        let homes = Homes::open(directory, passphrase.as_ref())?;
        Ok(Self { _lock: lock, vault, homes, passphrase })
    }

    /// What seals with the new key of the tenant, and still unseals what the present root key sealed.
    #[must_use]
    pub const fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Moves all homes, their versions, and all identities to the new key; how many files were written.
    ///
    /// # Errors
    /// When something cannot be unsealed or written. What was moved before stays moved.
    pub fn rewrap(&self) -> Result<usize, Error> {
        let mut count = self.homes.identities().rewrap()?;
        for name in self.homes.names()? {
            if let Some(home) = self.homes.find(&name)? {
                count += home.rewrap()?;
            }
        }
        Ok(count)
    }

    /// Replaces the root key.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(mut self, next: &NextRoot) -> Result<(), Error> {
        let passphrase = match next {
            NextRoot::Renewed if self.vault.has_passphrase() => self.passphrase.as_ref(),
            NextRoot::Renewed | NextRoot::File => None,
            NextRoot::Passphrase(passphrase) => Some(passphrase),
        };
        self.vault.rotate_root(passphrase)
    }
}
