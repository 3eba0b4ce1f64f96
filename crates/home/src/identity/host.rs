//! The key of this installation as a host of fleets, by which supervisors of other hosts know it.
//!
//! It is another key than the installation's own, which signs cards: it can be replaced without touching a persona.

use super::{
    KeyPair,
    store::{Identities, read_key},
};
use crate::{
    Error, files,
    seal::{Item, LOCAL},
};

/// What the key is sealed as.
const HOST: Item<'static> = Item { tenant: LOCAL, persona: "", item: "host", version: 0 };

impl Identities {
    /// The host's key; none when it was never made.
    ///
    /// # Errors
    /// When its file cannot be read or unsealed.
    pub fn host_key(&self) -> Result<Option<KeyPair>, Error> {
        let sealed = files::read_if_there(&self.host_key_path())?;
        sealed.map(|sealed| read_key(self.vault(), &HOST, &sealed)).transpose()
    }

    /// The host's key, made when there is none. Whether it is a new one.
    ///
    /// # Errors
    /// When its file cannot be read, written or unsealed.
    pub fn ensure_host_key(&self) -> Result<(KeyPair, bool), Error> {
        if let Some(key) = self.host_key()? {
            return Ok((key, false));
        }
        let sealed = self.vault().seal(&HOST, KeyPair::random().seed().as_slice())?;
        // Another process may be faster: whatever stands there then is the key.
        let is_new = files::create_private(&self.host_key_path(), &sealed)?;
        let key = self.host_key()?.ok_or_else(|| Error::damaged("host.key", "it went away"))?;
        Ok((key, is_new))
    }

    /// Replaces the host's key. Hosts that know the old one refuse this one until they are told the new one.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn renew_host_key(&self) -> Result<KeyPair, Error> {
        let key = KeyPair::random();
        files::write_private(&self.host_key_path(), &self.vault().seal(&HOST, key.seed().as_slice())?)?;
        Ok(key)
    }

    /// Moves the key to the tenant's newest key; how many files were written.
    pub(super) fn rewrap_host_key(&self) -> Result<usize, Error> {
        let path = self.host_key_path();
        match files::read_if_there(&path)? {
            Some(_) => Ok(usize::from(self.move_key(&path, &HOST)?)),
            None => Ok(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{identity::Identities, seal::Vault};

    #[test]
    fn the_key_of_a_host_is_made_once_sealed_replaced_and_moved_to_new_seals() {
        let root = tempfile::tempdir().unwrap();
        let open = || {
            let vault = Vault::open(root.path(), None).unwrap();
            Identities::open(root.path(), Arc::new(vault)).unwrap()
        };
        let identities = open();
        assert!(identities.host_key().unwrap().is_none());
        let (made, is_new) = identities.ensure_host_key().unwrap();
        assert!(is_new);
        assert_ne!(made.public(), identities.installation().public());
        let (again, is_new) = open().ensure_host_key().unwrap();
        assert_eq!((again.public(), is_new), (made.public(), false));
        let bytes = fs_err::read(root.path().join("host.key")).unwrap();
        assert!(!bytes.windows(32).any(|window| window == made.seed().as_slice()), "the seed is not in the file");

        let mut vault = Vault::open(root.path(), None).unwrap();
        vault.rotate_tenant(crate::seal::LOCAL).unwrap();
        let moved = open();
        assert!(moved.rewrap().unwrap() >= 1);
        assert_ne!(fs_err::read(root.path().join("host.key")).unwrap(), bytes);
        assert_eq!(moved.host_key().unwrap().unwrap().public(), made.public());

        let renewed = moved.renew_host_key().unwrap();
        assert_ne!(renewed.public(), made.public());
        assert_eq!(open().host_key().unwrap().unwrap().public(), renewed.public());
    }
}
